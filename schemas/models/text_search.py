"""Finding text inside `Schema.search_text` by the index of its trigrams (PostgreSQL, migration 0007).

The index stands on a function of our own, so it needs no extension. Texts of one or two characters
have no trigram, and SQLite has no such index: there the column is read, row by row.
"""

from __future__ import annotations

from typing import Any

from django.db.models import TextField
from django.db.models.lookups import Contains

TRIGRAM = 3


class Holds(Contains):
    """As `contains` for texts of at least `TRIGRAM` characters, by way of the index where there is one."""

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        contains, values = self.as_sql(compiler, connection)
        column, column_values = self.process_lhs(compiler, connection)
        narrowed = f"schemas_trigrams({column}) @> schemas_trigrams(%s)"
        return f"({narrowed} AND {contains})", (*column_values, self.rhs, *values)


TextField.register_lookup(Holds, "holds")
