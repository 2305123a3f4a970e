"""Changing a table that has triggers, without a lock that anybody would notice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import transaction
from django.db.migrations.operations import SeparateDatabaseAndState


class ChangeTable(SeparateDatabaseAndState):
    """Migration operation: `operations` as Django makes them on SQLite, as `postgresql` says on PostgreSQL.

    SQLite rebuilds the table for most changes, which drops its triggers and is refused while another
    table's trigger reads it; so all of them are taken away first and made again as they were. On
    PostgreSQL each statement is a transaction of its own (the migration says `atomic = False`), so an
    index is built CONCURRENTLY and no lock outlasts its statement. One that gives up, as it waits
    for a lock, is run again from the start: every statement must bear that.

    Args:
        table: the table that changes.
        operations: what becomes of the models.
        postgresql: the statements that do the same, in order.
        postgresql_backwards: those that undo them.
    """

    def __init__(
        self,
        table: str,
        operations: Sequence[Any],
        *,
        postgresql: Sequence[str],
        postgresql_backwards: Sequence[str],
    ) -> None:
        super().__init__(database_operations=operations, state_operations=operations)
        self.table = table
        self.postgresql = postgresql
        self.postgresql_backwards = postgresql_backwards

    def describe(self) -> str:
        return f"Change the table {self.table}"

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if schema_editor.connection.vendor == "sqlite":
            with _without_triggers(self.table, schema_editor):
                super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        for statement in self.postgresql:
            schema_editor.execute(statement, params=None)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if schema_editor.connection.vendor == "sqlite":
            with _without_triggers(self.table, schema_editor):
                super().database_backwards(app_label, schema_editor, from_state, to_state)
            return
        for statement in self.postgresql_backwards:
            schema_editor.execute(statement, params=None)


@contextmanager
def _without_triggers(table: str, schema_editor: Any) -> Iterator[None]:
    """SQLite: all or nothing, with the triggers that are on `table` or read it set aside."""
    with transaction.atomic(schema_editor.connection.alias):
        with schema_editor.connection.cursor() as cursor:
            cursor.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND sql LIKE %s", [f"%{table}%"]
            )
            triggers = cursor.fetchall()
        for name, _ in triggers:
            schema_editor.execute(f"DROP TRIGGER {name}", params=None)
        yield
        for _, made_by in triggers:
            schema_editor.execute(made_by, params=None)
