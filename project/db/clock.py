"""The database's own clock: the one that is the same for all servers."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.db.models import FloatField, Func

_UNIX_NOW = {
    "postgresql": "EXTRACT(EPOCH FROM clock_timestamp())::double precision",
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
}


def unix_now_sql() -> str:
    """SQL for the present moment in Unix seconds."""
    return _UNIX_NOW[connection.vendor]


class UnixNow(Func):
    """The present moment in Unix seconds, as an expression."""

    arity = 0
    output_field = FloatField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template=_UNIX_NOW["postgresql"], **context)

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template=_UNIX_NOW["sqlite"], **context)
