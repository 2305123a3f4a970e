"""A client's calls about its webhooks."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.utils import timezone
from kombu.exceptions import OperationalError

from accounts.audit import Actor
from accounts.models import AuditEvent, Webhook, WebhookDelivery
from accounts.tasks import send_webhook_test
from accounts.webhooks.delivery import deliver
from accounts.webhooks.feed import feed
from keys import lifecycle
from keys.models import Key
from tests.support.client import SignedClient, WireClient
from tests.support.registered import register_active
from tests.webhooks.receiver import Receiver

PATH = "/api/v1/webhooks"
URL = "https://hooks.example.com/datafold"


def created(client: SignedClient, url: str = URL, events: Any = ("*",), **more: Any) -> dict[str, Any]:
    answer = client.call("POST", PATH, {"url": url, "events": list(events), **more})
    assert answer.status_code == 201, answer.content
    return answer.json()["data"]  # type: ignore[no-any-return]


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_subscribe_read_change_pause_resume_and_end(orders: SignedClient) -> None:
    made = created(
        orders, "https://Hooks.Example.com:443/datafold", ["key.*", "schema.approved"], description="us"
    )
    assert made["url"] == URL
    assert made["events"] == ["key.*", "schema.approved"]
    assert (made["status"], made["waiting"], made["failing_since"]) == ("active", 0, None)
    one = f"{PATH}/{made['id']}"
    assert orders.call("GET", one).json()["data"] == made
    assert [hook["id"] for hook in orders.call("GET", PATH).json()["data"]] == [made["id"]]
    changed = orders.call("PATCH", one, {"events": ["*"], "active": False}).json()
    assert (changed["data"]["events"], changed["data"]["status"]) == (["*"], "paused")
    assert orders.call("PATCH", one, {"active": True}).json()["data"]["status"] == "active"
    gone = orders.call("DELETE", one).json()
    assert gone["meta"]["deleted_by"] == "orders"
    assert refusal(orders.call("GET", one)) == (404, "NOT_FOUND")
    actions = (
        AuditEvent.objects.filter(target_kind="webhook").order_by("id").values_list("action", "actor_id")
    )
    names = ["created", "changed", "paused", "resumed", "deleted"]
    assert list(actions) == [(f"webhook.{name}", "orders") for name in names]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"url": "https://127.0.0.2/", "events": ["*"]}, 422, "WEBHOOK_URL_REFUSED"),
        ({"url": "https://user:pw@hooks.example.com/", "events": ["*"]}, 422, "WEBHOOK_URL_REFUSED"),
        ({"url": "https://hooks.example.com:22/", "events": ["*"]}, 422, "WEBHOOK_URL_REFUSED"),
        ({"url": URL, "events": []}, 422, "VALIDATION_FAILED"),
        ({"url": URL, "events": ["nonsense"]}, 422, "VALIDATION_FAILED"),
        ({"url": URL, "events": ["key.pending"]}, 422, "VALIDATION_FAILED"),
        ({"url": URL, "events": "key.*"}, 422, "VALIDATION_FAILED"),
        ({"url": URL, "events": [["*"]]}, 422, "VALIDATION_FAILED"),
        ({"url": URL, "events": [None]}, 422, "VALIDATION_FAILED"),
        ({"url": URL}, 422, "VALIDATION_FAILED"),
        ({"url": 7, "events": ["*"]}, 422, "VALIDATION_FAILED"),
        ({"url": URL, "events": ["*"], "secret": "x"}, 422, "VALIDATION_FAILED"),
    ],
)
def test_a_subscription_that_cannot_be_is_refused(
    orders: SignedClient, body: Any, status: int, code: str
) -> None:
    assert refusal(orders.call("POST", PATH, body)) == (status, code)
    assert not Webhook.objects.exists()


def test_plain_http_is_for_development(orders: SignedClient, settings: Any) -> None:
    settings.DATAFOLD_DEVELOPMENT = False
    body = {"url": "http://hooks.example.com:443/", "events": ["*"]}
    assert refusal(orders.call("POST", PATH, body)) == (422, "WEBHOOK_URL_REFUSED")


def test_it_needs_the_scope_and_a_signature(db: None) -> None:
    plain = SignedClient(register_active("plain"))
    for method, path in [("GET", PATH), ("POST", PATH), ("DELETE", f"{PATH}/{uuid.uuid4()}")]:
        assert refusal(plain.call(method, path, {} if method == "POST" else None)) == (403, "SCOPE_MISSING")
    assert WireClient().get(PATH).status_code == 401


def test_nobody_sees_or_touches_the_webhook_of_another(orders: SignedClient, billing: SignedClient) -> None:
    one = f"{PATH}/{created(orders)['id']}"
    delivery = uuid.uuid4()
    for method, path, body in [
        ("GET", one, None),
        ("PATCH", one, {"active": False}),
        ("DELETE", one, None),
        ("POST", f"{one}/test", None),
        ("GET", f"{one}/deliveries", None),
        ("GET", f"{one}/deliveries/{delivery}", None),
        ("POST", f"{one}/deliveries/{delivery}/redeliver", None),
    ]:
        assert refusal(billing.call(method, path, body)) == (404, "NOT_FOUND"), path
    assert billing.call("GET", PATH).json()["data"] == []
    assert Webhook.objects.get().status == "active"


def test_a_client_sees_no_webhook_of_the_operators(orders: SignedClient, subscribe: Any) -> None:
    webhook = subscribe(URL)
    assert refusal(orders.call("GET", f"{PATH}/{webhook.pk}")) == (404, "NOT_FOUND")


def test_a_client_has_at_most_ten(orders: SignedClient) -> None:
    for number in range(10):
        created(orders, f"{URL}/{number}")
    assert refusal(orders.call("POST", PATH, {"url": URL, "events": ["*"]})) == (409, "WEBHOOK_LIMIT_REACHED")


def test_a_test_shows_what_was_sent_and_answered(orders: SignedClient, receiver: Receiver) -> None:
    made = created(orders, receiver.url("/hook?token=s3cret"))
    receiver.answer(202, b"got it")
    answer = orders.call("POST", f"{PATH}/{made['id']}/test")
    assert answer.status_code == 202
    assert answer.json()["data"]["status"] == "delivered"
    (data,) = answer.json()["data"]["attempts"]
    assert data["request"]["url"] == receiver.url("/hook?…")
    assert data["request"]["body"]["type"] == "webhook.test"
    assert 'tag="datafold-webhook"' in data["request"]["headers"]["Signature-Input"]
    assert data["response"]["status"] == 202
    assert data["response"]["body"] == "got it"
    assert data["error_code"] == ""
    answer = orders.call("POST", f"{PATH}/{made['id']}/test")
    assert refusal(answer) == (429, "RATE_LIMITED")
    assert int(answer["Retry-After"]) > 0
    assert len(receiver.received) == 1


def test_a_test_that_fails_says_why_and_tells_nothing_about_our_network(
    orders: SignedClient, settings: Any
) -> None:
    settings.DATAFOLD_WEBHOOK_ALLOWED_NETWORKS = []
    made = created(orders, "https://localhost/")
    (data,) = orders.call("POST", f"{PATH}/{made['id']}/test").json()["data"]["attempts"]
    assert (data["error_code"], data["response"]) == ("HOST_NOT_ALLOWED", None)
    assert "127.0.0.1" not in str(data)


def test_with_a_broker_a_worker_sends_the_test(
    orders: SignedClient, receiver: Receiver, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CELERY_TASK_ALWAYS_EAGER = False
    queued: list[Any] = []
    monkeypatch.setattr(send_webhook_test, "apply_async", lambda args, **_: queued.append(args))
    path = f"{PATH}/{created(orders, receiver.url())['id']}"
    sent = orders.call("POST", f"{path}/test").json()["data"]
    assert (sent["status"], sent["attempts"], receiver.received) == ("pending", [], [])
    for _ in range(2):  # told twice, sent once
        send_webhook_test.apply(args=queued[0]).get()
    assert receiver.types == ["webhook.test"]
    seen = orders.call("GET", f"{path}/deliveries/{sent['id']}").json()["data"]
    assert (seen["status"], seen["attempts"][0]["response"]["status"]) == ("delivered", 204)


def test_a_test_that_no_worker_hears_of_is_refused(
    orders: SignedClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CELERY_TASK_ALWAYS_EAGER = False
    path = f"{PATH}/{created(orders, URL)['id']}"

    def away(*_: Any, **__: Any) -> None:
        raise OperationalError

    monkeypatch.setattr(send_webhook_test, "apply_async", away)
    assert refusal(orders.call("POST", f"{path}/test")) == (503, "SERVICE_UNAVAILABLE")
    assert orders.call("GET", f"{path}/deliveries").json()["data"][0]["status"] == "failed"


def test_the_delivery_log_and_sending_again(orders: SignedClient, receiver: Receiver) -> None:
    made = created(orders, receiver.url(), ["key.*"])
    receiver.answer(500, b"boom")
    key = Key.objects.select_related("client").get(client__client_id="orders")
    lifecycle.request_rotation(key, actor=Actor.system("tests"), rotate_by=timezone.now())
    feed(timezone.now())
    deliver(Webhook.objects.get().pk)
    log = f"{PATH}/{made['id']}/deliveries"
    listed = orders.call("GET", log).json()
    (entry,) = listed["data"]
    assert listed["meta"]["count"] == 1
    assert (entry["event_type"], entry["status"], entry["attempts_made"]) == (
        "key.rotation_requested",
        "pending",
        1,
    )
    assert orders.call("GET", f"{log}?status=delivered").json()["data"] == []
    assert refusal(orders.call("GET", f"{log}?status=lost")) == (422, "VALIDATION_FAILED")
    (attempt,) = orders.call("GET", f"{log}/{entry['id']}").json()["data"]["attempts"]
    assert attempt["response"]["body"] == "boom"
    assert attempt["error_code"] == "STATUS"

    again = f"{log}/{entry['id']}/redeliver"
    assert refusal(orders.call("POST", again)) == (409, "WEBHOOK_STATE_CONFLICT")
    WebhookDelivery.objects.update(status="failed")
    queued = orders.call("POST", again)
    assert queued.status_code == 202
    assert queued.json()["data"]["event_id"] == entry["event_id"]
    Webhook.objects.update(due_at=timezone.now())
    deliver(Webhook.objects.get().pk)
    assert receiver.received[0].body == receiver.received[1].body
    orders.call("PATCH", f"{PATH}/{made['id']}", {"active": False})
    assert refusal(orders.call("POST", again)) == (409, "WEBHOOK_STATE_CONFLICT")


def test_paths_of_no_webhook_are_not_found(orders: SignedClient) -> None:
    for path in (f"{PATH}/{uuid.uuid4()}", f"{PATH}/nonsense", f"{PATH}/{uuid.uuid4()}/deliveries"):
        assert orders.call("GET", path).status_code == 404
