"""Finding text inside `Schema.search_text`: `.filter(search_text__holds="phone")`.

On PostgreSQL an index over the trigrams of the text finds the candidates, by a function of our own and
without an extension (migration 0007). Texts of one or two characters, and SQLite, read the whole column.
"""

from __future__ import annotations

from typing import Any

from django.db.models import TextField
from django.db.models.lookups import Contains

TRIGRAM = 3


class Holds(Contains):
    """As `contains`, by way of the index where there is one."""

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        contains, values = self.as_sql(compiler, connection)
        text = self.rhs
        if not isinstance(text, str) or len(text) < TRIGRAM:
            return contains, tuple(values)
        column, column_values = self.process_lhs(compiler, connection)
        narrowed = f"schemas_trigrams({column}) @> schemas_trigrams(%s)"
        return f"({narrowed} AND {contains})", (*column_values, text, *values)


TextField.register_lookup(Holds, "holds")
