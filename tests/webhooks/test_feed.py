"""What becomes a delivery, for whom, and that nothing is lost or made twice."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from accounts.audit import Actor, record_event
from accounts.clients import change_client, reactivate_client, suspend_client
from accounts.models import AuditEvent, Client, Webhook, WebhookCursor, WebhookDelivery
from accounts.webhooks.feed import feed
from accounts.webhooks.subscriptions import pause_webhook
from keys import lifecycle
from keys.jobs.notices import warn_of_expiry
from keys.models import Key
from schemas import decisions
from schemas.models import Schema
from tests.support.client import SignedClient
from tests.support.registered import register_active, register_pending

URL = "https://hooks.example.com/"
SYSTEM = Actor.system("tests")


def told(webhook: Webhook) -> list[str]:
    """The types of event that are due to it, in order."""
    feed(timezone.now())
    rows = WebhookDelivery.objects.filter(webhook=webhook).order_by("pk")
    return list(rows.values_list("event_type", flat=True))


def bodies(webhook: Webhook) -> list[dict[str, Any]]:
    feed(timezone.now())
    rows = WebhookDelivery.objects.filter(webhook=webhook).order_by("pk")
    return [json.loads(body) for body in rows.values_list("body", flat=True)]


@pytest.mark.django_db
def test_operators_hear_of_the_whole_life_of_a_key_in_order(subscribe: Callable[..., Webhook]) -> None:
    webhook = subscribe(URL)
    register_pending("orders")
    key = Key.objects.select_related("client").get(client__client_id="orders")
    lifecycle.approve(key, actor=SYSTEM)
    lifecycle.suspend(key, actor=SYSTEM, reason="under investigation")
    lifecycle.reactivate(key, actor=SYSTEM, reason="all is well")
    suspend_client(key.client, actor=SYSTEM, reason="unpaid")
    reactivate_client(Client.objects.get(client_id="orders"), actor=SYSTEM, reason="paid")
    lifecycle.revoke(key, actor=SYSTEM, revocation_reason="keyCompromise")
    assert told(webhook) == [
        "key.pending",
        "key.approved",
        "key.suspended",
        "key.reactivated",
        "client.suspended",
        "client.reactivated",
        "key.revoked",
    ]
    last = bodies(webhook)[-1]
    assert set(last) == {"id", "type", "created_at", "data"}
    assert last["data"]["key"]["client_id"] == "orders"
    assert last["data"]["key"]["thumbprint"] == key.thumbprint
    assert last["data"]["after"]["revocation_reason"] == "keyCompromise"
    assert last["data"]["actor"]["label"] == "tests"


@pytest.mark.django_db
def test_a_client_hears_of_itself_only(
    orders: SignedClient, billing: SignedClient, subscribe: Callable[..., Webhook]
) -> None:
    mine, theirs = subscribe(URL, client="orders"), subscribe(URL, client="billing")
    key = Key.objects.select_related("client").get(client__client_id="orders")
    lifecycle.suspend(key, actor=SYSTEM, reason="under investigation")
    register_pending("newcomer")
    assert told(mine) == ["key.suspended"]
    assert told(theirs) == []
    assert bodies(mine)[0]["data"]["reason"] == "under investigation"
    lifecycle.revoke(key, actor=SYSTEM, reason="the intern took it")
    assert told(mine)[1:] == ["key.revoked"]
    assert bodies(mine)[1]["data"]["reason"] == "", "what the operators told each other"


@pytest.mark.django_db
def test_a_client_is_not_told_who_among_the_operators_acted(
    orders: SignedClient, subscribe: Callable[..., Webhook], django_user_model: Any
) -> None:
    webhook = subscribe(URL, client="orders")
    mara = django_user_model.objects.create_user("mara", is_staff=True)
    client = Client.objects.get(client_id="orders")
    change_client(client, actor=Actor.operator(mara), changes={"rate_limit": 7, "owner": mara})
    (body,) = bodies(webhook)
    assert body["data"]["after"]["rate_limit"] == 7
    assert body["data"]["actor"] == {"kind": "operator"}
    assert "mara" not in json.dumps(body)


@pytest.mark.django_db
def test_owner_and_writers_hear_of_a_schema(
    orders: SignedClient, billing: SignedClient, subscribe: Callable[..., Webhook]
) -> None:
    register_active("stranger")
    owner, writer = subscribe(URL, client="orders"), subscribe(URL, client="billing")
    stranger, operators = subscribe(URL, client="stranger"), subscribe(URL, "schema.*")
    fields = [{"name": "id", "type": "uuid", "required": True}]
    assert orders.call("POST", "/api/v1/schemas", {"name": "events", "fields": fields}).status_code == 201
    assert orders.call("PATCH", "/api/v1/schemas/events", {"writers": ["billing"]}).status_code == 200
    told(owner)
    more = [*fields, {"name": "note", "type": "string"}]
    answer = billing.call("POST", "/api/v1/schemas/events/versions", {"fields": more})
    assert answer.status_code == 201, answer.content
    assert told(owner)[0] == "schema.created"
    assert told(owner)[-1] == "schema.version_created"
    assert told(writer)[-1] == "schema.version_created"
    assert told(operators) == told(owner)
    assert told(stranger) == []
    last = bodies(owner)[-1]["data"]
    assert (last["schema"]["name"], last["after"]["number"]) == ("events", 2)
    assert last["actor"]["id"] == "billing"
    assert last["request_id"] == answer.headers["X-Request-ID"]


@pytest.mark.django_db
def test_a_suspended_client_is_told_that_and_nothing_else(
    orders: SignedClient, subscribe: Callable[..., Webhook]
) -> None:
    webhook = subscribe(URL, client="orders")
    suspend_client(Client.objects.get(client_id="orders"), actor=SYSTEM, reason="unpaid")
    told(webhook)
    key = Key.objects.select_related("client").get(client__client_id="orders")
    lifecycle.suspend(key, actor=SYSTEM, reason="under investigation")
    assert told(webhook) == ["client.suspended"]


@pytest.mark.django_db
def test_a_key_that_expires_soon_is_told_of_once(
    orders: SignedClient, subscribe: Callable[..., Webhook]
) -> None:
    mine, operators = subscribe(URL, "key.expiring", client="orders"), subscribe(URL, "key.expiring")
    now = timezone.now()
    Client.objects.update(contact_email="team@example.com")
    Key.objects.update(expires_at=now + timedelta(days=5))
    warn_of_expiry(now + timedelta(seconds=1))
    warn_of_expiry(now + timedelta(seconds=2))
    assert told(mine) == told(operators) == ["key.expiring"]
    assert bodies(mine)[0]["data"]["days"] == 7


@pytest.mark.django_db
def test_what_happened_before_the_subscription_or_while_it_was_paused_is_not_told(
    subscribe: Callable[..., Webhook],
) -> None:
    register_pending("too-early")
    webhook = subscribe(URL)
    pause_webhook(webhook, actor=SYSTEM)
    assert told(webhook) == []
    register_pending("meanwhile")
    assert told(webhook) == []


@pytest.mark.django_db
def test_appending_an_audit_event_asks_nothing_about_webhooks(
    subscribe: Callable[..., Webhook], django_assert_num_queries: Any
) -> None:
    subscribe(URL)
    with django_assert_num_queries(1):
        record_event(actor=SYSTEM, action="key.approved", target_kind="key", target_id="x")


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_is_not_told(subscribe: Callable[..., Webhook]) -> None:
    webhook = subscribe(URL)

    def change_of_mind() -> None:
        with transaction.atomic():
            record_event(actor=SYSTEM, action="client.suspended", target_kind="client", target_id="a")
            raise InterruptedError

    with pytest.raises(InterruptedError):
        change_of_mind()
    record_event(actor=SYSTEM, action="client.reactivated", target_kind="client", target_id="a")
    assert told(webhook) == ["client.reactivated"]


@pytest.mark.django_db(transaction=True)
def test_an_event_that_commits_late_behind_the_cursor_is_told(subscribe: Callable[..., Webhook]) -> None:
    """Its id was given out before those that are told already."""
    webhook = subscribe(URL)
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has one writer: ids are committed in order")
    assert told(webhook) == []
    gaps = WebhookCursor.objects.get(name="audit").gaps
    inserted, may_commit = threading.Event(), threading.Event()

    def slow() -> None:
        try:
            with transaction.atomic():
                record_event(actor=SYSTEM, action="key.revoked", target_kind="key")
                inserted.set()
                assert may_commit.wait(20)
        finally:
            connections.close_all()

    thread = threading.Thread(target=slow)
    thread.start()
    assert inserted.wait(20)
    record_event(actor=SYSTEM, action="key.approved", target_kind="key")
    assert told(webhook) == ["key.approved"]
    assert len(WebhookCursor.objects.get(name="audit").gaps) == len(gaps) + 1
    may_commit.set()
    thread.join(20)
    assert told(webhook) == ["key.approved", "key.revoked"]
    assert told(webhook) == ["key.approved", "key.revoked"]
    assert WebhookCursor.objects.get(name="audit").gaps == gaps


@pytest.mark.django_db(transaction=True)
def test_two_feeds_at_once_make_each_delivery_once(subscribe: Callable[..., Webhook]) -> None:
    webhook = subscribe(URL)
    for number in range(30):
        record_event(actor=SYSTEM, action="client.suspended", target_kind="client", target_id=f"c-{number}")
    barrier = threading.Barrier(4)

    def run() -> None:
        try:
            barrier.wait(20)
            feed(timezone.now())
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    happened = AuditEvent.objects.filter(action="client.suspended").order_by("pk")
    made = list(
        WebhookDelivery.objects.filter(webhook=webhook).order_by("pk").values_list("source", flat=True)
    )
    assert made == [f"audit:{pk}" for pk in happened.values_list("pk", flat=True)]


@pytest.mark.django_db
def test_a_long_log_is_read_in_batches(
    subscribe: Callable[..., Webhook], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accounts.webhooks.feed.BATCH", 3)
    webhook = subscribe(URL)
    for number in range(10):
        record_event(actor=SYSTEM, action="client.suspended", target_kind="client", target_id=f"c-{number}")
    assert len(told(webhook)) == 10


@pytest.mark.django_db
def test_decisions_about_a_schema_are_told_under_their_names(
    orders: SignedClient, subscribe: Callable[..., Webhook]
) -> None:
    fields = [{"name": "id", "type": "uuid", "required": True}]
    assert orders.call("POST", "/api/v1/schemas", {"name": "events", "fields": fields}).status_code == 201
    webhook = subscribe(URL, client="orders")
    schema = Schema.objects.get(name="events")
    decisions.approve(schema, actor=SYSTEM, reason="tests")
    decisions.deprecate(schema, actor=SYSTEM, on=timezone.now().date(), reason="tests")
    decisions.block(schema, actor=SYSTEM, reason="tests")
    decisions.unblock(schema, actor=SYSTEM, reason="tests")
    assert orders.call("DELETE", "/api/v1/schemas/events").status_code == 200
    names = ("approved", "deprecated", "blocked", "unblocked", "deleted")
    assert told(webhook) == [f"schema.{name}" for name in names]
    assert bodies(webhook)[2]["data"]["reason"] == "tests"


@pytest.mark.django_db
def test_an_event_about_something_strange_holds_up_nothing(subscribe: Callable[..., Webhook]) -> None:
    webhook = subscribe(URL)
    for kind, target in [
        ("key", "nonsense"),
        ("key", "\N{SNOWMAN}"),
        ("schema", "9" * 60),
        ("", ""),
        ("schema", "²"),
    ]:
        record_event(actor=SYSTEM, action="key.revoked", target_kind=kind, target_id=target)
    assert told(webhook) == ["key.revoked"] * 5
