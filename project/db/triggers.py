"""Database triggers, for PostgreSQL and SQLite alike.

A guard in `save()` is bypassed by `queryset.update()` and by every other client of the
database; a trigger is not.

SQLite drops a table's triggers when a migration rebuilds the table, and refuses the rebuild of a
table that another table's trigger reads: `project.db.change_table` sets them aside and puts them back.
"""

from __future__ import annotations

from typing import Any, Literal

from django.db.migrations.operations.base import Operation

Event = Literal["UPDATE", "DELETE", "INSERT"]
Sql = str | dict[str, str]


class _Trigger(Operation):
    """A trigger that migrating forwards makes and migrating backwards takes away."""

    reversible = True
    reduces_to_sql = True

    name: str
    table: str

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Triggers are not part of Django's model state."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        for statement in self._create(schema_editor.connection.vendor):
            schema_editor.execute(statement, params=None)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        for statement in self._drop(schema_editor.connection.vendor):
            schema_editor.execute(statement, params=None)

    def _create(self, vendor: str) -> list[str]:
        raise NotImplementedError

    def _drop(self, vendor: str) -> list[str]:
        if vendor == "sqlite":
            return [f"DROP TRIGGER {self.name}"]
        return [f"DROP TRIGGER {self.name} ON {self.table}", f"DROP FUNCTION {self.name}()"]


class RefuseWrite(_Trigger):
    """Migration operation: refuse `event` on a row of `table` where `condition` holds.

    Args:
        name: the trigger's name, unique in the database.
        condition: SQL over OLD and NEW, one text for both vendors or one for each ("sqlite",
            "postgresql"); "" means always.
        message: what the database answers (no quotes).
    """

    def __init__(self, name: str, table: str, event: Event, message: str, condition: Sql = "") -> None:
        self.name = name
        self.table = table
        self.event = event
        self.message = message
        self.condition = condition

    def describe(self) -> str:
        return f"Refuse {self.event} on {self.table}: {self.message}"

    def _create(self, vendor: str) -> list[str]:
        when = _when(self.condition, vendor)
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


class RefuseTruncate(_Trigger):
    """Migration operation: refuse to empty `table` by PostgreSQL's TRUNCATE, which fires no trigger of rows.

    SQLite has no such statement. What it has instead, INSERT OR REPLACE, fires the triggers of DELETE on
    connections with `recursive_triggers`, as the settings have it.
    """

    def __init__(self, name: str, table: str, message: str) -> None:
        self.name = name
        self.table = table
        self.message = message

    def describe(self) -> str:
        return f"Refuse TRUNCATE on {self.table}: {self.message}"

    def _create(self, vendor: str) -> list[str]:
        if vendor == "sqlite":
            return []
        return [
            f"CREATE FUNCTION {self.name}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{self.message}' USING ERRCODE = 'check_violation'; END $$",
            f"CREATE TRIGGER {self.name} BEFORE TRUNCATE ON {self.table} FOR EACH STATEMENT "
            f"EXECUTE FUNCTION {self.name}()",
        ]

    def _drop(self, vendor: str) -> list[str]:
        return [] if vendor == "sqlite" else super()._drop(vendor)


class RefuseWriteAfterLookup(RefuseWrite):
    """As `RefuseWrite` of INSERT or UPDATE, with a `condition` that looks into other rows.

    PostgreSQL takes no subquery in a trigger's WHEN, so there the condition moves into the function.
    """

    def _create(self, vendor: str) -> list[str]:
        if vendor == "sqlite":
            return super()._create(vendor)
        return [
            f"CREATE FUNCTION {self.name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {self.condition} THEN "
            f"RAISE EXCEPTION '{self.message}' USING ERRCODE = 'check_violation'; END IF; RETURN NEW; END $$",
            f"CREATE TRIGGER {self.name} BEFORE {self.event} ON {self.table} FOR EACH ROW "
            f"EXECUTE FUNCTION {self.name}()",
        ]


class FollowWrite(_Trigger):
    """Migration operation: after `event` on a row of `table` where `condition` holds, run `statement`.

    Args:
        name: the trigger's name, unique in the database.
        event: with a column where that matters, e.g. "UPDATE OF owner_id".
        statement: SQL over OLD and NEW, for both vendors.
    """

    def __init__(self, name: str, table: str, event: str, statement: str, condition: Sql = "") -> None:
        self.name = name
        self.table = table
        self.event = event
        self.statement = statement
        self.condition = condition

    def describe(self) -> str:
        return f"After {self.event} on {self.table}: {self.name}"

    def _create(self, vendor: str) -> list[str]:
        when = _when(self.condition, vendor)
        if vendor == "sqlite":
            return [
                f"CREATE TRIGGER {self.name} AFTER {self.event} ON {self.table} FOR EACH ROW {when}"
                f"BEGIN {self.statement}; END"
            ]
        return [
            f"CREATE FUNCTION {self.name}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN {self.statement}; RETURN NULL; END $$",
            f"CREATE TRIGGER {self.name} AFTER {self.event} ON {self.table} FOR EACH ROW {when}"
            f"EXECUTE FUNCTION {self.name}()",
        ]


def _when(condition: Sql, vendor: str) -> str:
    text = condition if isinstance(condition, str) else condition[vendor]
    return f"WHEN ({text}) " if text else ""
