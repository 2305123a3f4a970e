from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.utils import timezone

from accounts.audit import Actor
from accounts.models import Client, Webhook
from accounts.webhooks.subscriptions import create_webhook
from keys import server_keys
from tests.support.client import SignedClient
from tests.support.registered import register_active
from tests.webhooks.receiver import Receiver

SCOPES = ["schemas:read", "schemas:write", "webhooks:manage"]


@pytest.fixture(autouse=True)
def _settings(settings: Any) -> Iterator[None]:
    settings.DATAFOLD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    settings.DATAFOLD_DEVELOPMENT = True
    settings.DATAFOLD_WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.1/32"]
    settings.DATAFOLD_WEBHOOK_PORTS = [443]
    settings.CELERY_TASK_ALWAYS_EAGER = True  # no broker
    server_keys.clear_cache()
    yield
    server_keys.clear_cache()


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    started = Receiver()
    settings.DATAFOLD_WEBHOOK_PORTS = [443, started.port]
    yield started
    started.stop()


@pytest.fixture
def orders(db: None) -> SignedClient:
    """A client that may manage webhooks."""
    return SignedClient(register_active("orders", scopes=SCOPES))


@pytest.fixture
def billing(db: None) -> SignedClient:
    return SignedClient(register_active("billing", scopes=SCOPES))


@pytest.fixture
def subscribe(db: None) -> Callable[..., Webhook]:
    """`subscribe(url, "key.*", client="orders")`; without a client it is the operators'."""

    def make(url: str, *events: str, client: str = "") -> Webhook:
        owner = Client.objects.get(client_id=client) if client else None
        return create_webhook(
            actor=Actor.system("tests"), client=owner, url=url, events=list(events) or ["*"]
        )

    return make


def later(**span: float) -> Callable[[], Any]:
    """A clock that is ahead."""
    return lambda: timezone.now() + timedelta(**span)
