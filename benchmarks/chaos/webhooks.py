"""Webhooks: what was due to the receiver, against what it got."""

from __future__ import annotations

import ssl
import threading
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from datafold_sdk import ServerKeys, VerificationError, verify_webhook

from accounts.webhooks.events import type_of
from benchmarks.chaos.database import Query
from tests.webhooks.receiver import Received, Receiver


class WebhookReceiver:
    """A receiver that checks each request's signature as it comes: signatures are good for five minutes.

    Attributes:
        keys: of the server, as soon as they are known.
        refused: what did not hold, and why.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        self.keys: ServerKeys | None = None
        self.refused: list[str] = []
        self._checked = 0
        self._lock = threading.Lock()
        self.receiver = Receiver(tls=tls, on_request=self._check)
        self.url = f"https://localhost:{self.receiver.port}/hook"

    def _check(self) -> None:
        with self._lock:
            news = self.receiver.received[self._checked :]
            self._checked += len(news)
        for each in news:
            try:
                assert self.keys is not None
                verify_webhook(
                    method="POST", url=self.url, headers=each.headers, body=each.body, keys=self.keys
                )
            except VerificationError as error:
                self.refused.append(f"{each.header('DataFold-Delivery')}: {error}")


class Deliveries:
    """What the receiver got, by the names that each request carried."""

    def __init__(self, received: Sequence[Received]) -> None:
        self.received = received
        self.by_event: dict[str, set[str]] = {}
        for each in received:
            self.by_event.setdefault(each.event["id"], set()).add(each.header("DataFold-Delivery"))

    @property
    def again(self) -> int:
        """Deliveries that came more than once: at least once is what is promised."""
        return len(self.received) - len({each.header("DataFold-Delivery") for each in self.received})


def lost(deliveries: Deliveries, query: Query) -> list[str]:
    """Audit events that make a webhook and were not delivered, or whose delivery never arrived; and
    deliveries that arrived, of which the database knows nothing."""
    rows = query("SELECT source, status, event_id FROM accounts_webhookdelivery WHERE source <> ''")
    made = {source: (status, str(event_id)) for source, status, event_id in rows}
    created = query("SELECT min(created_at) FROM accounts_webhook")[0][0]
    if created is None:
        return ["the webhook itself"]
    known = {event_id for _, event_id in made.values()}
    missing = [f"event {event} arrived and is unknown" for event in deliveries.by_event if event not in known]
    for pk, action, key_status, created_at in query(
        "SELECT id, action, after ->> 'status', created_at FROM accounts_auditevent ORDER BY id"
    ):
        if created_at < created or type_of(action, {"status": key_status}) is None:
            continue
        status, event_id = made.get(f"audit:{pk}", ("no delivery", ""))
        if status != "delivered" or event_id not in deliveries.by_event:
            missing.append(f"{action} {pk}: {status}")
    return missing


def told_twice(deliveries: Deliveries, query: Query) -> list[str]:
    """Events that went out under two deliveries, and audit events that made two."""
    found = [
        f"event {event}: deliveries {', '.join(sorted(names))}"
        for event, names in deliveries.by_event.items()
        if len(names) > 1
    ]
    sources = Counter(
        source for (source,) in query("SELECT source FROM accounts_webhookdelivery WHERE source <> ''")
    )
    return found + [f"{source}: {count} deliveries" for source, count in sources.items() if count > 1]


def out_of_order(deliveries: Deliveries, query: Query) -> list[str]:
    """Deliveries that first arrived before one that was queued earlier."""
    place = {
        str(delivery_id): pk
        for pk, delivery_id in query("SELECT id, delivery_id FROM accounts_webhookdelivery")
    }
    first = dict.fromkeys(each.header("DataFold-Delivery") for each in deliveries.received)
    arrived = [place[name] for name in first if name in place]
    return [f"delivery {earlier} before {later}" for earlier, later in pairwise(arrived) if later < earlier]
