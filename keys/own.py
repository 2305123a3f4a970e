"""What a client may change about its key: its name and its metadata."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from accounts.audit import Actor, record_event
from accounts.models.client import metadata_problems
from keys.errors import InvalidMetadata
from keys.models import Key


def rename_key(key: Key, *, actor: Actor, name: str | None, metadata: dict[str, Any] | None) -> Key:
    """Set name and metadata where given. Raises `InvalidMetadata`, with every problem."""
    if metadata is not None and (problems := metadata_problems(metadata)):
        raise InvalidMetadata(
            "The metadata is over its limits: " + "; ".join(problems) + ".", problems=problems
        )
    changes = {field: value for field, value in (("name", name), ("metadata", metadata)) if value is not None}
    before = {field: getattr(key, field) for field in changes}
    with transaction.atomic():
        Key.objects.filter(pk=key.pk).update(**changes)
        record_event(
            actor=actor,
            action="key.updated",
            target_kind="key",
            target_id=str(key.pk),
            target_label=str(key),
            before=before,
            after=changes,
        )
    key.refresh_from_db()
    return key
