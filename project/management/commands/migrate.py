"""`manage.py migrate`, which does not make everybody wait for a lock that it waits for itself."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.core.management.commands import migrate
from django.db import OperationalError, connections
from psycopg.errors import LockNotAvailable


class Command(migrate.Command):
    """On PostgreSQL every statement behind a waiting ALTER TABLE waits as well, reads included."""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--lock-timeout",
            type=float,
            default=10.0,
            metavar="SECONDS",
            help="Give up on a lock after so long (PostgreSQL); 0 waits for ever. By default 10.",
        )

    def handle(self, *args: Any, **options: Any) -> str | None:
        connection = connections[options["database"]]
        # Behind a pooler the setting would stay with a connection that somebody else gets next.
        pooled = connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS")
        if connection.vendor != "postgresql" or pooled:
            return super().handle(*args, **options)
        _set_lock_timeout(connection, options["lock_timeout"])
        try:
            return super().handle(*args, **options)
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise
            raise CommandError(
                f"Another transaction held a lock for {options['lock_timeout']:g} s, so the migration that needs it "
                "was not applied; those before it were. Run it again in a quieter moment."
            ) from error
        finally:
            _set_lock_timeout(connection, 0)


def _set_lock_timeout(connection: Any, seconds: float) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", [f"{int(seconds * 1000)}ms"])
