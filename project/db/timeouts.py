"""How long a statement of the web server may take: its threads are few, and each waits for its statement."""

from __future__ import annotations

from django.conf import settings
from django.db import connections


def limit_statements() -> None:
    """Have PostgreSQL end this process's statements after DATABASE_STATEMENT_TIMEOUT_SECONDS; 0 for never.

    For the web server, before its first connection. Commands, migrations and jobs may take their time.

    A parameter of the connection's start, which PgBouncer refuses, and a SET would stay on a connection that
    others use next: behind it the limit is PgBouncer's own `query_timeout`.
    """
    milliseconds = int(settings.DATABASE_STATEMENT_TIMEOUT_SECONDS * 1000)
    if not milliseconds or settings.DATABASE_PGBOUNCER:
        return
    for database in connections.settings.values():
        if database["ENGINE"] == "django.db.backends.postgresql":
            given = database["OPTIONS"].get("options", "")  # last, so that it wins
            database["OPTIONS"]["options"] = f"-c statement_timeout={milliseconds} {given}".rstrip()
