"""The settings around webhooks, as the pure parts take them."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings

from accounts.webhooks.targets import Network, Target, parse_target

MAX_PER_CLIENT = 10


@dataclass(frozen=True, slots=True)
class Policy:
    """Where webhooks may go, and for how long they are tried."""

    schemes: frozenset[str]
    ports: frozenset[int]
    exceptions: tuple[Network, ...]
    seconds: float
    give_up_after: timedelta
    disable_after: timedelta

    @property
    def lease(self) -> timedelta:
        """Longer than any attempt, so that only a worker that is gone loses its lease."""
        return timedelta(seconds=2 * self.seconds + 30)

    def target(self, url: str) -> Target:
        """Raises WebhookUrlRefused."""
        return parse_target(url, schemes=self.schemes, ports=self.ports, exceptions=self.exceptions)


def current_policy() -> Policy:
    return Policy(
        schemes=frozenset({"https", "http"} if settings.DATAFOLD_DEVELOPMENT else {"https"}),
        ports=frozenset(settings.DATAFOLD_WEBHOOK_PORTS),
        exceptions=tuple(
            ipaddress.ip_network(network) for network in settings.DATAFOLD_WEBHOOK_ALLOWED_NETWORKS
        ),
        seconds=settings.DATAFOLD_WEBHOOK_TIMEOUT_SECONDS,
        give_up_after=timedelta(hours=settings.DATAFOLD_WEBHOOK_GIVE_UP_HOURS),
        disable_after=timedelta(hours=settings.DATAFOLD_WEBHOOK_DISABLE_HOURS),
    )
