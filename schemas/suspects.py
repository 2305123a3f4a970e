"""Versions written with a key that was no longer its holder's alone."""

from __future__ import annotations

from django.db.models import F, Q

from keys.models import Key
from schemas.epoch import advance_epoch
from schemas.models import SchemaVersion

SUSPECT = Q(author_key__compromised_since__lte=F("created_at"))
"""Condition on `SchemaVersion`."""


def is_suspect(version: SchemaVersion) -> bool:
    """Whether the author's key counts as compromised since a time before the version was written."""
    key = version.author_key
    return bool(key and key.compromised_since and key.compromised_since <= version.created_at)


def mark_suspects(key: Key) -> None:
    """Have every reader see at once that what `key` wrote is suspect now."""
    if key.schema_versions.exists():
        advance_epoch()
