"""A reader replica for lists, where DATABASE_REPLICA_URL names one.

Only what is asked for here reads from it. A replica is behind by some milliseconds to seconds, which a list
may be and a decision may not: everything else, verification above all, reads the primary.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from django.conf import settings
from django.db import DatabaseError
from django.db.models import QuerySet

log = logging.getLogger(__name__)

T = TypeVar("T")
REPLICA = "replica"


def read_from_replica(rows: Any, read: Callable[[Any], T]) -> T:
    """What `read` makes of the rows on the replica; on the primary where there is none, or it is away."""
    if REPLICA not in settings.DATABASES or not isinstance(rows, QuerySet):
        return read(rows)
    try:
        return read(rows.using(REPLICA))
    except DatabaseError as error:
        log.warning("the replica cannot answer, so the primary does: %s", type(error).__name__)
        return read(rows)
