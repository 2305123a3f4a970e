"""A real Celery worker on a real Redis: it delivers, and what a killed one had begun is delivered by the next."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from tests.jobs.test_worker import Background
from tests.webhooks.receiver import Receiver

SUBSCRIBE = """
from accounts.audit import Actor, record_event
from accounts.webhooks.subscriptions import create_webhook
create_webhook(actor=Actor.system("tests"), client=None, url={url!r}, events=["client.*"])
"""
HAPPEN = """
from accounts.audit import Actor, record_event
for name in ("suspended", "reactivated", "changed"):
    record_event(actor=Actor.system("tests"), action=f"client.{name}", target_kind="client", target_id="somebody")
"""
END_LEASE = """
from django.utils import timezone
from accounts.models import Webhook
Webhook.objects.update(lease_until=timezone.now())
"""
HEARTBEAT = "SELECT 1 FROM accounts_jobrun WHERE name = 'heartbeat' AND last_finished IS NOT NULL"
WAITING = "SELECT count(*) FROM accounts_webhookdelivery WHERE status = 'pending'"


@pytest.fixture
def background(receiver: Receiver) -> Iterator[Background]:
    started = Background()
    started.environment |= {
        "DATAFOLD_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.1/32",
        "DATAFOLD_WEBHOOK_PORTS": str(receiver.port),
    }
    yield started
    started.stop()


def test_a_worker_killed_in_the_middle_loses_nothing_and_keeps_the_order(
    background: Background, receiver: Receiver
) -> None:
    """Jobs have a worker of their own meanwhile, whom no receiver holds up; the last one takes all queues."""
    background.python(SUBSCRIBE.format(url=receiver.url()) + HAPPEN)
    hold = threading.Event()
    receiver.on_request = lambda: hold.wait(30)
    background.worker("--queues", "celery", "--hostname", "jobs@%h")
    worker = background.worker("--queues", "deliveries", "--hostname", "deliveries@%h")
    background.enqueue("deliver-webhooks")
    background.wait(lambda: receiver.received, "the first delivery")
    background.enqueue("heartbeat")
    background.wait(lambda: background.query(HEARTBEAT), "a job beside it")
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait(timeout=10)
    hold.set()
    assert background.query(WAITING) == [(3,)]

    background.python(END_LEASE)
    background.worker()
    background.enqueue("deliver-webhooks")
    background.wait(lambda: background.query(WAITING) == [(0,)], "the rest")
    first, again, *rest = receiver.received
    assert first.body == again.body
    assert [json.loads(got.body)["type"] for got in (again, *rest)] == [
        "client.suspended",
        "client.reactivated",
        "client.changed",
    ]
    lost = "SELECT count(*) FROM accounts_webhookattempt WHERE error_code = 'WORKER_LOST'"
    assert background.query(lost) == [(1,)]
