"""Two places where Django's test machinery and this database do not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models.signals import post_migrate


def let_flush_pass() -> None:
    """Tests that commit are cleaned up by a flush, which the triggers of append-only tables refuse. So the
    flush goes without them. It also empties the roles, which a migration made.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    operations: Any = type(connection.ops)
    if not hasattr(operations, "_flush_without_triggers"):
        operations._flush_without_triggers = True
        around = _around_triggers if connection.vendor == "sqlite" else _as_replica
        operations.sql_flush = around(operations.sql_flush)
    post_migrate.connect(_restore_roles, sender=apps.get_app_config("schemas"), dispatch_uid="tests.roles")


def _around_triggers(sql_flush: Callable[..., list[str]]) -> Callable[..., list[str]]:
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> list[str]:
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
            triggers = dict(cursor.fetchall())
        statements = sql_flush(self, *args, **kwargs)
        return [f"DROP TRIGGER {name}" for name in triggers] + statements + list(triggers.values())

    return wrapped


def _as_replica(sql_flush: Callable[..., list[str]]) -> Callable[..., list[str]]:
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> list[str]:
        return ["SET LOCAL session_replication_role = replica", *sql_flush(self, *args, **kwargs)]

    return wrapped


def _restore_roles(**_: Any) -> None:
    from accounts.roles import sync_roles

    sync_roles(apps, ["accounts", "keys", "schemas"])


@contextmanager
def commits_for_real() -> Iterator[None]:
    """`transaction.on_commit` inside a test that is rolled back: run when the code's own outermost
    transaction ends, as it would without the test's transaction around it.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    ground = len(connection.savepoint_ids)
    on_commit, savepoint_commit = connection.on_commit, connection.savepoint_commit

    def run_hooks() -> None:
        while connection.run_on_commit and len(connection.savepoint_ids) == ground:
            function = connection.run_on_commit.pop(0)[1]
            function()

    def committing(sid: str) -> None:
        savepoint_commit(sid)
        run_hooks()

    def on_commit_or_now(function: Callable[[], object], robust: bool = False) -> None:
        on_commit(function, robust)
        run_hooks()

    connection.savepoint_commit = committing  # type: ignore[method-assign]
    connection.on_commit = on_commit_or_now  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        del connection.savepoint_commit, connection.on_commit
