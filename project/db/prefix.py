"""Prefix search that uses the index on either database."""

from __future__ import annotations

import sys

from django.db import connection
from django.db.models import Q


def starts_with(field: str, prefix: str) -> Q:
    """Rows whose `field` begins with `prefix`, case-sensitive.

    PostgreSQL has the pattern index that Django adds to indexed text columns. SQLite's LIKE ignores
    case and so its index; there the same is asked as a range.
    """
    if connection.vendor == "sqlite":
        return Q(**{f"{field}__gte": prefix, f"{field}__lt": prefix + chr(sys.maxunicode)})
    return Q(**{f"{field}__startswith": prefix})
