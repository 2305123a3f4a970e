"""What a decision on a key would hit, and what a compromised key has touched."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from accounts.models import AuditEvent, Client
from keys.models import VERIFYING, Key, KeyUsage
from schemas.models import Schema, SchemaVersion

LISTED = 20
SUSPECTS_LISTED = 200


@dataclass(frozen=True, slots=True)
class Impact:
    """Who is hit if these keys stop verifying.

    `days`: requests of each of the last seven days, oldest first. `schemas`: at most 20 that the
    clients own; `more_schemas` says whether there are others. `lone`: client_ids that would be left
    with no key that verifies.
    """

    days: list[tuple[date, int]]
    last_used_at: datetime | None
    schemas: list[str]
    more_schemas: bool
    successors: dict[uuid.UUID, Key]
    lone: list[str]

    @property
    def requests(self) -> int:
        return sum(count for _, count in self.days)


@dataclass(frozen=True, slots=True)
class Suspects:
    """What a key signed from a moment on; at most 200 of each."""

    since: datetime
    versions: list[SchemaVersion]
    events: list[AuditEvent]
    more: bool

    def __bool__(self) -> bool:
        return bool(self.versions or self.events)


def impact_of(keys: Sequence[Key], *, now: datetime) -> Impact:
    """The impact of cutting off these keys together. Five queries whatever their number (≤ 100)."""
    ids = [key.pk for key in keys]
    clients = {key.client_id: key.client.client_id for key in keys}
    schemas = list(
        Schema.objects.alive()
        .filter(owner__in=clients)
        .order_by("name")
        .values_list("name", flat=True)[: LISTED + 1]
    )
    staying = set(
        Key.objects.filter(client__in=clients, status__in=VERIFYING)
        .exclude(pk__in=ids)
        .values_list("client", flat=True)
        .distinct()
    )
    verifying = {key.client_id for key in keys if key.status in VERIFYING}
    successors = {
        successor.replaces_id: successor
        for successor in Key.objects.filter(replaces__in=ids, status__in=VERIFYING)
        if successor.replaces_id
    }
    return Impact(
        days=usage_by_day(ids, days=7, now=now),
        last_used_at=max((key.last_used_at for key in keys if key.last_used_at), default=None),
        schemas=schemas[:LISTED],
        more_schemas=len(schemas) > LISTED,
        successors=successors,
        lone=sorted(clients[client] for client in verifying - staying),
    )


def usage_by_day(key_ids: Sequence[uuid.UUID], *, days: int, now: datetime) -> list[tuple[date, int]]:
    """Verified requests of these keys on each of the last `days` days (UTC), oldest first."""
    today = now.astimezone(UTC).date()
    counts = {today - timedelta(days=back): 0 for back in range(days - 1, -1, -1)}
    start = datetime.combine(next(iter(counts)), datetime.min.time(), UTC)
    for hour, count in KeyUsage.objects.filter(key__in=key_ids, hour__gte=start).values_list("hour", "count"):
        day = hour.astimezone(UTC).date()
        if day in counts:
            counts[day] += count
    return list(counts.items())


def client_usage_by_day(client: Client, *, days: int, now: datetime) -> list[tuple[date, int]]:
    """As `usage_by_day`, over the client's 50 newest keys."""
    return usage_by_day(list(client.keys.values_list("pk", flat=True)[:50]), days=days, now=now)


def suspects_of(key: Key, *, since: datetime) -> Suspects:
    """Everything the key signed from `since` on: schema versions and every act in the audit log."""
    versions = list(
        SchemaVersion.objects.filter(author_key=key, created_at__gte=since)
        .select_related("schema")
        .defer("content", "canonical", "receipt")
        .order_by("created_at")[: SUSPECTS_LISTED + 1]
    )
    events = list(
        AuditEvent.objects.filter(
            actor_kind=AuditEvent.ActorKind.CLIENT,
            actor_id=key.client.client_id,
            actor_key=key.thumbprint,
            created_at__gte=since,
        ).order_by("-id")[: SUSPECTS_LISTED + 1]
    )
    more = len(versions) > SUSPECTS_LISTED or len(events) > SUSPECTS_LISTED
    return Suspects(since, versions[:SUSPECTS_LISTED], events[:SUSPECTS_LISTED], more)
