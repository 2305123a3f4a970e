"""How many bytes a document has, without reading it out of the database."""

from __future__ import annotations

from typing import Any

from django.db.models import Func, IntegerField


class Weight(Func):
    """Bytes of a JSON column's text. PostgreSQL knows them without unpacking it; characters it would have to count.

    Django writes JSON in ASCII, so text of other scripts is counted as larger than it is answered.
    """

    output_field = IntegerField()
    template = "OCTET_LENGTH((%(expressions)s)::text)"

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="LENGTH(%(expressions)s)", **context)
