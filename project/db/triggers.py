"""Database triggers that refuse a write, for PostgreSQL and SQLite alike.

A guard in `save()` is bypassed by `queryset.update()` and by every other client of the
database; a trigger is not.
"""

from __future__ import annotations

from typing import Any, Literal

from django.db.migrations.operations.base import Operation

Event = Literal["UPDATE", "DELETE", "INSERT"]


class RefuseWrite(Operation):
    """Migration operation: refuse `event` on a row of `table` where `condition` holds.

    Args:
        name: the trigger's name, unique in the database.
        condition: SQL over OLD and NEW, one text for both vendors or one for each ("sqlite",
            "postgresql"); "" means always.
        message: what the database answers (no quotes).
    """

    reversible = True
    reduces_to_sql = True

    def __init__(
        self, name: str, table: str, event: Event, message: str, condition: str | dict[str, str] = ""
    ) -> None:
        self.name = name
        self.table = table
        self.event = event
        self.message = message
        self.condition = condition

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Triggers are not part of Django's model state."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        for statement in self._create(schema_editor.connection.vendor):
            schema_editor.execute(statement, params=None)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        for statement in self._drop(schema_editor.connection.vendor):
            schema_editor.execute(statement, params=None)

    def describe(self) -> str:
        return f"Refuse {self.event} on {self.table}: {self.message}"

    def _create(self, vendor: str) -> list[str]:
        condition = self.condition if isinstance(self.condition, str) else self.condition[vendor]
        when = f"WHEN ({condition}) " if condition else ""
        if vendor == "sqlite":
            return [
                f"CREATE TRIGGER {self.name} BEFORE {self.event} ON {self.table} FOR EACH ROW {when}"
                f"BEGIN SELECT RAISE(ABORT, '{self.message}'); END"
            ]
        return [
            f"CREATE FUNCTION {self.name}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{self.message}' USING ERRCODE = 'check_violation'; END $$",
            f"CREATE TRIGGER {self.name} BEFORE {self.event} ON {self.table} FOR EACH ROW {when}"
            f"EXECUTE FUNCTION {self.name}()",
        ]

    def _drop(self, vendor: str) -> list[str]:
        if vendor == "sqlite":
            return [f"DROP TRIGGER {self.name}"]
        return [f"DROP TRIGGER {self.name} ON {self.table}", f"DROP FUNCTION {self.name}()"]
