"""Webhooks in the admin: subscribe, test, pause, send again; and who may."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts.audit import Actor, record_event
from accounts.models import AuditEvent, Webhook, WebhookDelivery
from accounts.tasks import send_webhook_test
from accounts.webhooks.delivery import deliver
from accounts.webhooks.feed import feed
from tests.admin.conftest import make_operator, sit_down  # noqa: F401  fixtures
from tests.webhooks.receiver import Receiver

ADD = "admin:accounts_webhook_add"


def page(name: str, *args: Any) -> str:
    return reverse(f"admin:accounts_{name}", args=args)


def text(response: Any) -> str:
    return html.unescape(response.content.decode())


@pytest.fixture
def manager(sit_down: Callable[..., Browser]) -> Browser:  # noqa: F811
    return sit_down("mara", "manager")


@pytest.fixture
def auditor(sit_down: Callable[..., Browser]) -> Browser:  # noqa: F811
    return sit_down("olga", "auditor")


def sent(webhook: Webhook) -> WebhookDelivery:
    record_event(actor=Actor.system("tests"), action="client.suspended", target_kind="client", target_id="a")
    feed(timezone.now())
    deliver(webhook.pk)
    return WebhookDelivery.objects.latest("pk")


def test_an_operator_subscribes_tests_pauses_and_resumes(manager: Browser, receiver: Receiver) -> None:
    form = {
        "url": receiver.url("/ops?token=s3cret"),
        "events": "key.*\nclient.suspended",
        "description": "on call",
    }
    assert manager.post(reverse(ADD), form).status_code == 302
    webhook = Webhook.objects.get()
    assert (webhook.client, webhook.events) == (None, ["client.suspended", "key.*"])
    assert webhook.created_by is not None

    listed = text(manager.get(page("webhook_changelist")))
    assert receiver.url("/ops?…") in listed
    assert "s3cret" not in listed

    receiver.answer(200, b"hello operators")
    assert manager.get(page("webhook_test", webhook.pk)).status_code == 200
    assert receiver.received == [], "looking sends nothing"
    shown = text(manager.post(page("webhook_test", webhook.pk)))
    assert "The receiver took the test." in shown
    assert "hello operators" in shown
    assert 'tag="datafold-webhook"' in shown
    assert receiver.types == ["webhook.test"]
    assert manager.post(page("webhook_test", webhook.pk)).status_code == 409

    assert manager.get(page("webhook_confirm", webhook.pk, "pause")).status_code == 200
    webhook.refresh_from_db()
    assert webhook.status == "active", "looking changes nothing"
    manager.post(page("webhook_confirm", webhook.pk, "pause"), {"reason": "maintenance"})
    webhook.refresh_from_db()
    assert (webhook.status, webhook.status_reason) == ("paused", "maintenance")
    assert "maintenance" in text(manager.get(page("webhook_change", webhook.pk)))
    manager.post(page("webhook_confirm", webhook.pk, "resume"), {"reason": ""})
    webhook.refresh_from_db()
    assert webhook.status == "active"
    names = AuditEvent.objects.filter(target_kind="webhook").order_by("id").values_list("action", flat=True)
    assert list(names) == [f"webhook.{name}" for name in ("created", "tested", "paused", "resumed")]
    assert "webhook.paused" in text(manager.get(page("webhook_history", webhook.pk)))


def test_the_page_of_a_test_looks_again_until_a_worker_has_sent_it(
    manager: Browser, receiver: Receiver, subscribe: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CELERY_TASK_ALWAYS_EAGER = False
    queued: list[Any] = []
    monkeypatch.setattr(send_webhook_test, "apply_async", lambda args, **_: queued.append(args))
    shown = manager.post(page("webhook_test", subscribe(receiver.url()).pk))
    assert "on its way" in text(shown)
    _, _, again = shown["Refresh"].partition("url=")
    assert "on its way" in text(manager.get(again))
    send_webhook_test.apply(args=queued[0]).get()
    done = manager.get(again)
    assert "The receiver took the test." in text(done)
    assert "Refresh" not in done
    WebhookDelivery.objects.all().delete()
    assert manager.get(again).status_code == 404


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"url": "https://10.0.0.1/"}, "never go to loopback, private"),
        ({"url": "ftp://hooks.example.com/"}, "only"),
        ({"events": "nonsense"}, "is no event"),
        ({"events": ""}, "required"),
    ],
)
def test_a_form_that_cannot_be_says_why(manager: Browser, fields: dict[str, str], why: str) -> None:
    response = manager.post(reverse(ADD), {"url": "https://hooks.example.com/", "events": "*", **fields})
    assert response.status_code == 200
    assert why in text(response)
    assert not Webhook.objects.exists()


def test_the_log_shows_the_exchange_and_sends_again(
    manager: Browser, receiver: Receiver, subscribe: Any
) -> None:
    webhook = subscribe(receiver.url())
    receiver.answer(200, b"<script>alert(1)</script>")
    delivery = sent(webhook)
    assert "client.suspended" in text(manager.get(page("webhook_change", webhook.pk)))
    raw = manager.get(page("webhookdelivery_change", delivery.pk)).content.decode()
    assert "<script>alert(1)</script>" not in raw
    assert "<script>alert(1)</script>" in html.unescape(raw)
    assert manager.get(page("webhookdelivery_changelist") + f"?q={webhook.pk}").status_code == 200
    assert manager.get(page("webhookdelivery_changelist") + "?q=nonsense").status_code == 200
    again = page("webhookdelivery_redeliver", delivery.pk)
    assert manager.get(again).status_code == 200
    assert WebhookDelivery.objects.count() == 1, "looking queues nothing"
    assert manager.post(again).status_code == 302
    deliver(webhook.pk)
    assert receiver.types == ["client.suspended"] * 2
    assert receiver.received[0].body == receiver.received[1].body


def test_an_auditor_looks_and_does_nothing(auditor: Browser, receiver: Receiver, subscribe: Any) -> None:
    webhook = subscribe(receiver.url("/hook?token=s3cret"))
    delivery = sent(webhook)
    shown = text(auditor.get(page("webhook_change", webhook.pk)))
    assert "client.suspended" in shown
    assert "s3cret" not in shown
    assert auditor.get(page("webhookdelivery_change", delivery.pk)).status_code == 200
    received = len(receiver.received)
    for path in (
        reverse(ADD),
        page("webhook_test", webhook.pk),
        page("webhook_confirm", webhook.pk, "pause"),
        page("webhook_confirm", webhook.pk, "resume"),
        page("webhook_confirm", webhook.pk, "delete"),
        page("webhookdelivery_redeliver", delivery.pk),
    ):
        assert auditor.post(path, {"url": receiver.url(), "events": "*"}).status_code == 403, path
    webhook.refresh_from_db()
    assert webhook.status == "active"
    assert len(receiver.received) == received
    assert Webhook.objects.count() == WebhookDelivery.objects.count() == 1


def test_operators_pause_a_clients_webhook_and_change_nothing_else(
    manager: Browser, orders: Any, receiver: Receiver, subscribe: Any
) -> None:
    webhook = subscribe(receiver.url(), "key.*", "schema.created", client="orders")
    change = page("webhook_change", webhook.pk)
    assert "key.*, schema.created" in text(manager.get(change))
    assert manager.post(change, {"url": "https://hooks.example.com/", "events": "*"}).status_code == 403
    manager.post(page("webhook_confirm", webhook.pk, "pause"), {"reason": "floods the receiver"})
    webhook.refresh_from_db()
    assert (webhook.status, webhook.url) == ("paused", receiver.url())


def test_an_admin_deletes_what_the_operators_subscribed_to(
    sit_down: Callable[..., Browser],  # noqa: F811
    manager: Browser,
    subscribe: Any,
    orders: Any,
) -> None:
    mine, theirs = (
        subscribe("https://hooks.example.com/"),
        subscribe("https://hooks.example.com/", client="orders"),
    )
    admin = sit_down("ada", "admin")
    assert manager.post(page("webhook_confirm", mine.pk, "delete")).status_code == 403
    assert admin.get(page("webhook_confirm", mine.pk, "delete")).status_code == 200
    assert admin.post(page("webhook_confirm", mine.pk, "delete")).status_code == 302
    assert admin.post(page("webhook_confirm", theirs.pk, "delete")).status_code == 404
    assert list(Webhook.objects.all()) == [theirs]
