"""From the audit log to deliveries.

A job reads what was appended since it last looked; `accounts.audit.record_event` knows nothing of
webhooks. So appending costs nothing, whoever subscribed; an event whose transaction was rolled back is
never seen; and no process can be unaware of a subscription made a moment ago, as one with a cached
list of them would be. Cursor and deliveries move in one transaction: an event becomes deliveries once.

A row that is committed behind the cursor is found through the gap that it left (`accounts.webhooks.gaps`).
Gaps are remembered as long as sealing waits for late events: nothing here keeps a transaction open longer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Max, Q, QuerySet
from django.db.models.functions import Coalesce

from accounts.models import AuditEvent, Webhook, WebhookCursor, WebhookDelivery, WebhookStatus
from accounts.models.client import ClientStatus
from accounts.sealing import LATE
from accounts.webhooks import events
from accounts.webhooks.facts import Event, events_of_audit, events_of_warnings
from accounts.webhooks.gaps import Gap, advance
from accounts.webhooks.message import event_body
from keys.models import ExpiryWarning
from project.api.envelope import rfc3339

BATCH = 1000
GAPS_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Source:
    """A table that grows and whose rows make events."""

    name: str
    rows: Callable[[], QuerySet[Any]]
    telling: Callable[[QuerySet[Any]], QuerySet[Any]]
    events: Callable[[Sequence[Any]], list[Event]]


SOURCES = (
    Source(
        "audit",
        lambda: AuditEvent.objects.all(),
        lambda rows: rows.filter(action__in=events.ACTIONS),
        events_of_audit,
    ),
    Source(
        "expiry",
        lambda: ExpiryWarning.objects.all(),
        lambda rows: rows.select_related("key__client"),
        events_of_warnings,
    ),
)


def feed(now: datetime) -> int:
    """Make the deliveries that are due for everything that happened; how many were made."""
    start_reading()
    return sum(_feed(source, now) for source in SOURCES)


def start_reading() -> None:
    """From here on, where nobody has read yet: what is older is of no interest to a new subscription."""
    for source in SOURCES:
        if not WebhookCursor.objects.filter(name=source.name).exists():
            WebhookCursor.objects.get_or_create(name=source.name, defaults={"position": _newest(source)})


def _newest(source: Source) -> int:
    return source.rows().aggregate(newest=Max("pk"))["newest"] or 0


def _feed(source: Source, now: datetime) -> int:
    made, more = 0, True
    while more:
        with transaction.atomic():
            cursor = WebhookCursor.objects.select_for_update().get(name=source.name)
            newest = _newest(source)
            if not Webhook.objects.filter(status=WebhookStatus.ACTIVE).exists():
                _skip(cursor, to=newest)
                return made
            seen, more = _unseen(source, cursor)
            if not seen and not cursor.gaps:
                return made
            told = source.telling(source.rows().filter(pk__in=seen)).order_by("pk") if seen else ()
            made += _fan_out(source.events(list(told)), now)
            _move(cursor, seen, now)
    return made


def _skip(cursor: WebhookCursor, *, to: int) -> None:
    """Nobody wants what happened until now. `to` was read before it was asked who listens: whoever
    subscribed since then only misses what happened before."""
    if to > cursor.position or cursor.gaps:
        cursor.position, cursor.gaps = max(to, cursor.position), []
        cursor.save(update_fields=["position", "gaps"])


def _unseen(source: Source, cursor: WebhookCursor) -> tuple[list[int], bool]:
    """Ids of rows that were not read yet, and whether there may be more."""
    new = list(
        source.rows().filter(pk__gt=cursor.position).order_by("pk").values_list("pk", flat=True)[:BATCH]
    )
    late: list[int] = []
    for start in range(0, len(cursor.gaps), GAPS_AT_ONCE):
        inside = Q()
        for first, last, _ in cursor.gaps[start : start + GAPS_AT_ONCE]:
            inside |= Q(pk__range=(first, last))
        late += source.rows().filter(inside).order_by("pk").values_list("pk", flat=True)[:BATCH]
    return [*late, *new], len(new) == BATCH


def _move(cursor: WebhookCursor, seen: Iterable[int], now: datetime) -> None:
    gaps = [Gap(*gap) for gap in cursor.gaps]
    cursor.position, left = advance(
        cursor.position, gaps, seen, now=now.timestamp(), lifetime=LATE.total_seconds()
    )
    cursor.gaps = [list(gap) for gap in left]
    cursor.save(update_fields=["position", "gaps"])


def _fan_out(happened: Sequence[Event], now: datetime) -> int:
    """A delivery for each subscription that wants the event and may have it."""
    concerned = {client for event in happened for client in event.audience}
    if not happened:
        return 0
    operators, clients = _subscriptions(concerned)
    deliveries = []
    for event in happened:
        listeners = [
            *operators,
            *(webhook for client in event.audience for webhook in clients.get(client, ())),
        ]
        deliveries += [_delivery(event, webhook, now) for webhook in listeners if _gets(webhook, event)]
    WebhookDelivery.objects.bulk_create(deliveries, batch_size=500)
    # After the rows: a worker that finds nothing to do and says so waits here, and then looks again.
    Webhook.objects.filter(pk__in={delivery.webhook_id for delivery in deliveries}).update(
        due_at=Coalesce("due_at", now)
    )
    return len(deliveries)


def _subscriptions(concerned: Iterable[int]) -> tuple[list[Webhook], dict[int, list[Webhook]]]:
    """The operators' subscriptions, and those of the clients that something happened to."""
    rows = Webhook.objects.select_related("client").filter(
        Q(client__isnull=True) | Q(client__in=list(concerned)), status=WebhookStatus.ACTIVE
    )
    operators: list[Webhook] = []
    clients: dict[int, list[Webhook]] = {}
    for webhook in rows.order_by("created_at", "pk"):
        (operators if webhook.client_id is None else clients.setdefault(webhook.client_id, [])).append(
            webhook
        )
    return operators, clients


def _gets(webhook: Webhook, event: Event) -> bool:
    """A suspended client is told of that, and of nothing else."""
    if event.created_at < webhook.created_at or not events.is_wanted(event.type, webhook.events):
        return False
    suspended = webhook.client is not None and webhook.client.status == ClientStatus.SUSPENDED
    return not suspended or event.type.startswith("client.")


def _delivery(event: Event, webhook: Webhook, now: datetime) -> WebhookDelivery:
    data = event.data if webhook.client_id is None else event.client_data
    return WebhookDelivery(
        webhook=webhook,
        event_id=event.id,
        event_type=event.type,
        body=event_body(
            event_id=str(event.id), event_type=event.type, created_at=rfc3339(event.created_at), data=data
        ),
        source=event.source,
        created_at=now,
    )
