"""What an event says, and which clients it is about.

A client hears of itself, its keys, and the schemas that it owns or may write. It is not told which
operator acted, nor from where.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounts.models import AuditEvent, Client
from accounts.webhooks import events
from keys.models import ExpiryWarning, Key
from schemas.models import Schema

# Of a client's own facts, those that are between the operators.
_OPERATORS_FACTS = frozenset({"owner"})
# Whoever decides about a client or its key is told which reasons the client reads: these, and no others.
_REASONS_FOR_CLIENT = frozenset({"key.rejected", "key.suspended", "client.suspended"})


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, ready to be told.

    Args:
        source: what it was made of; the same on every reading.
        audience: primary keys of the clients that may hear of it.
        data: as operators get it.
        client_data: as clients get it.
    """

    id: uuid.UUID
    type: str
    created_at: datetime
    source: str
    audience: frozenset[int]
    data: dict[str, Any]
    client_data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Target:
    name: str
    facts: dict[str, Any]
    audience: frozenset[int]


def events_of_audit(rows: Sequence[AuditEvent]) -> list[Event]:
    """The events that these audit events make, in their order."""
    told = [(row, event_type) for row in rows if (event_type := events.type_of(row.action, row.after))]
    targets = _targets([row for row, _ in told])
    return [_event_of_audit(row, event_type, targets) for row, event_type in told]


def events_of_warnings(warnings: Iterable[ExpiryWarning]) -> list[Event]:
    """`key.expiring`, once for each key and threshold: contact and operators are warned apart."""
    return [
        _event_of_warning(warning)
        for warning in warnings
        if warning.audience == ExpiryWarning.Audience.OPERATORS
    ]


def _event_of_warning(warning: ExpiryWarning) -> Event:
    data = {
        "key": key_facts(warning.key),
        "expires_at": warning.expires_at.isoformat(),
        "days": warning.days,
    }
    return Event(
        id=uuid.uuid4(),
        type=events.EXPIRING,
        created_at=warning.created_at,
        source=f"expiry:{warning.pk}",
        audience=frozenset({warning.key.client_id}),
        data=data,
        client_data=data,
    )


def _event_of_audit(row: AuditEvent, event_type: str, targets: dict[tuple[str, str], _Target]) -> Event:
    target = targets.get((row.target_kind, row.target_id)) or _Target(
        row.target_kind or "target", {"id": row.target_id, "name": row.target_label}, frozenset()
    )
    told = {target.name: target.facts, "before": row.before, "after": row.after, "reason": row.reason}
    return Event(
        id=uuid.uuid4(),
        type=event_type,
        created_at=row.created_at,
        source=f"audit:{row.pk}",
        audience=target.audience if events.may_be_told_to_client(event_type) else frozenset(),
        data={
            **told,
            "actor": {
                "kind": row.actor_kind,
                "id": row.actor_id,
                "label": row.actor_label,
                "key": row.actor_key,
            },
            "address": row.address,
            "request_id": row.request_id,
            "audit_event": row.pk,
        },
        client_data={
            **told,
            "reason": row.reason if _reason_is_for_client(event_type) else "",
            "before": _for_client(row.before),
            "after": _for_client(row.after),
            "actor": _actor_for_client(row),
            "request_id": row.request_id,
        },
    )


def _for_client(facts: dict[str, Any] | None) -> dict[str, Any] | None:
    return (
        None
        if facts is None
        else {name: value for name, value in facts.items() if name not in _OPERATORS_FACTS}
    )


def _reason_is_for_client(event_type: str) -> bool:
    return event_type.startswith("schema.") or event_type in _REASONS_FOR_CLIENT


def _actor_for_client(row: AuditEvent) -> dict[str, str]:
    if row.actor_kind == AuditEvent.ActorKind.CLIENT:
        return {"kind": row.actor_kind, "id": row.actor_id, "key": row.actor_key}
    return {"kind": row.actor_kind}


def _targets(rows: Sequence[AuditEvent]) -> dict[tuple[str, str], _Target]:
    """What the events were done to: one query for each kind."""
    wanted: dict[str, set[str]] = {}
    for row in rows:
        wanted.setdefault(row.target_kind, set()).add(row.target_id)
    found: dict[tuple[str, str], _Target] = {}
    for key in Key.objects.select_related("client").filter(pk__in=_uuids(wanted.get("key", ()))):
        found["key", str(key.pk)] = _Target("key", key_facts(key), frozenset({key.client_id}))
    for client in Client.objects.filter(client_id__in=wanted.get("client", ())):
        facts = {"client_id": client.client_id, "name": client.name}
        found["client", client.client_id] = _Target("client", facts, frozenset({client.pk}))
    schemas = Schema.objects.select_related("owner").prefetch_related("writers")
    for schema in schemas.filter(pk__in=_numbers(wanted.get("schema", ()))):
        owner = schema.owner.client_id if schema.owner else None
        writers = {writer.pk for writer in schema.writers.all()} | ({schema.owner_id} - {None})
        found["schema", str(schema.pk)] = _Target(
            "schema",
            {"name": schema.name, "owner": owner},
            frozenset(pk for pk in writers if pk is not None),
        )
    return found


def _uuids(texts: Iterable[str]) -> list[str]:
    """Targets are text; one that is no id must not hold up all that comes after it."""
    return [text for text in texts if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text)]


def _numbers(texts: Iterable[str]) -> list[int]:
    return [int(text) for text in texts if re.fullmatch(r"[0-9]{1,18}", text)]


def key_facts(key: Key) -> dict[str, Any]:
    """What does not change about a key; its state is in the event's `after`."""
    return {
        "registration_id": str(key.pk),
        "client_id": key.client.client_id,
        "name": key.name,
        "algorithm": key.algorithm,
        "thumbprint": key.thumbprint,
    }
