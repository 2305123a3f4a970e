"""Deliveries over a real receiver: signed, in order, at least once, with an end to every failure."""

from __future__ import annotations

import base64
import json
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from datafold_sdk.errors import VerificationError
from datafold_sdk.verification import ServerKeys, verify_webhook
from django.core import mail
from django.db import connections
from django.utils import timezone
from http_message_signatures import HTTPMessageVerifier, MappingKeyResolver, algorithms

from accounts.audit import Actor, record_event
from accounts.jobs import run_job
from accounts.models import AuditEvent, Client, Webhook, WebhookAttempt, WebhookDelivery
from accounts.tasks import deliver_webhook
from accounts.webhooks import transport
from accounts.webhooks.delivery import deliver
from accounts.webhooks.errors import WebhookTestsTooOften
from accounts.webhooks.feed import feed
from accounts.webhooks.jobs import JOBS, MOST_QUEUED, deliver_webhooks, purge_webhooks
from accounts.webhooks.subscriptions import change_webhook, redeliver, resume_webhook, send_test
from keys import server_keys
from project.version import VERSION as RELEASE
from tests.support.client import SignedClient, WireClient
from tests.webhooks.conftest import later
from tests.webhooks.receiver import Receiver

SYSTEM = Actor.system("tests")
DIRECTORY = "/.well-known/http-message-signatures-directory"


def happen(*names: str) -> None:
    """Something that operators hear of: `client.<name>` for each."""
    for name in names:
        record_event(actor=SYSTEM, action=f"client.{name}", target_kind="client", target_id="somebody")


def work(**span: float) -> None:
    """A round of the job, as it would run after this span of time."""
    now = later(**span)
    feed(now())
    for pk in Webhook.objects.order_by("created_at").values_list("pk", flat=True):
        deliver(pk, clock=now)


def directory() -> bytes:
    return WireClient().get(DIRECTORY).content


# --- Signature -------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_delivery_verifies_with_the_sdk_and_the_published_directory(
    receiver: Receiver, subscribe: Any
) -> None:
    url = receiver.url("/hook?token=s3cret&x=%20y")
    subscribe(url)
    happen("suspended")
    work()
    (got,) = receiver.received
    keys = ServerKeys.from_jwks(directory())
    verified = verify_webhook(method="POST", url=url, headers=got.headers, body=got.body, keys=keys)
    assert verified.body == got.body
    assert verified.nonce
    assert set(verified.components) == {'"@method"', '"@target-uri"', '"content-digest"', '"content-type"'}
    assert got.event["type"] == got.header("DataFold-Event") == "client.suspended"
    assert got.header("DataFold-Delivery") == str(WebhookDelivery.objects.get().delivery_id)
    assert got.header("Content-Type") == "application/json"
    for changes in (
        {"body": got.body.replace(b"suspended", b"reactivat")},
        {"url": url.replace("s3cret", "other")},
        {"method": "PUT"},
    ):
        sent = {"method": "POST", "url": url, "headers": got.headers, "body": got.body, **changes}
        with pytest.raises(VerificationError):
            verify_webhook(**sent, keys=keys)  # type: ignore[arg-type]


@pytest.mark.django_db
def test_a_delivery_verifies_with_a_library_that_is_not_ours(receiver: Receiver, subscribe: Any) -> None:
    subscribe(receiver.url())
    happen("suspended")
    work()
    (got,) = receiver.received
    (jwk,) = json.loads(directory())["keys"]
    public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(jwk["x"] + "="))
    thumbprint = server_keys.current_signer().thumbprint

    class Message:
        method, url, headers = "POST", receiver.url(), dict(got.headers)

    verifier = HTTPMessageVerifier(
        signature_algorithm=algorithms.ED25519,
        key_resolver=MappingKeyResolver(public_keys={thumbprint: public}, private_keys={}),
    )
    (result,) = verifier.verify(
        Message(), max_age=timedelta(minutes=1), expect_tag="datafold-webhook", body=got.body
    )
    parameters = result.parameters
    assert parameters["keyid"] == thumbprint
    assert int(parameters["expires"]) - int(parameters["created"]) == 300
    assert parameters["nonce"]


@pytest.mark.django_db
def test_a_name_with_other_letters_stops_no_delivery(
    receiver: Receiver, subscribe: Any, settings: Any
) -> None:
    settings.APP_NAME, settings.VERSION = "Données", "1.0 bêta"
    subscribe(receiver.url())
    happen("suspended")
    work()
    (got,) = receiver.received
    assert got.header("User-Agent") == f"DataFold/{RELEASE}"


@pytest.mark.django_db
def test_every_attempt_is_signed_anew(receiver: Receiver, subscribe: Any) -> None:
    subscribe(receiver.url())
    receiver.answer(500)
    happen("suspended")
    work()
    work(minutes=5)
    first, second = receiver.received
    assert first.body == second.body
    assert first.header("DataFold-Delivery") == second.header("DataFold-Delivery")
    assert first.header("Signature-Input") != second.header("Signature-Input")


# --- Order and retries -------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_later_event_waits_for_the_earlier_one(receiver: Receiver, subscribe: Any) -> None:
    subscribe(receiver.url())
    receiver.answer(503)
    happen("suspended", "reactivated", "changed")
    work()
    assert receiver.types == ["client.suspended"]
    work()
    assert receiver.types == ["client.suspended"], "it is not due yet"
    work(minutes=1)
    assert receiver.types == ["client.suspended", "client.suspended", "client.reactivated", "client.changed"]
    assert set(WebhookDelivery.objects.values_list("status", flat=True)) == {"delivered"}
    assert Webhook.objects.get().due_at is None


@pytest.mark.django_db
def test_a_receiver_that_fails_holds_up_no_other(receiver: Receiver, subscribe: Any) -> None:
    bad, good = subscribe(receiver.url("/bad")), subscribe(receiver.url("/good"))
    receiver.answer(500)
    happen("suspended", "reactivated")
    work()
    assert [got.path for got in receiver.received] == ["/bad", "/good", "/good"]
    bad.refresh_from_db()
    good.refresh_from_db()
    assert bad.failing_since is not None
    assert good.failing_since is None


@pytest.mark.django_db
def test_an_event_that_nobody_takes_is_given_up_and_the_next_one_goes(
    receiver: Receiver, subscribe: Any, settings: Any
) -> None:
    settings.DATAFOLD_WEBHOOK_GIVE_UP_HOURS = 1
    subscribe(receiver.url())
    receiver.answer(500)
    receiver.answer(500)
    happen("suspended", "reactivated")
    work()
    work(hours=2)
    assert receiver.types == ["client.suspended", "client.suspended", "client.reactivated"]
    assert list(WebhookDelivery.objects.order_by("pk").values_list("status", flat=True)) == [
        "failed",
        "delivered",
    ]


@pytest.mark.django_db
def test_long_failure_disables_the_webhook_and_says_so_once(
    orders: SignedClient, receiver: Receiver, subscribe: Any, settings: Any, mailoutbox: list[Any]
) -> None:
    settings.DATAFOLD_WEBHOOK_DISABLE_HOURS = 48
    Client.objects.update(contact_email="team@example.com")
    webhook = subscribe(receiver.url("/hook?token=s3cret"), client="orders")
    receiver.answers = [(500, {}, b"")] * 2
    Client.objects.get(client_id="orders")
    record_event(actor=SYSTEM, action="client.changed", target_kind="client", target_id="orders")
    work()
    work(hours=49)
    webhook.refresh_from_db()
    assert webhook.status == "disabled"
    assert "500" in webhook.status_reason
    assert AuditEvent.objects.filter(action="webhook.disabled", target_id=str(webhook.pk)).count() == 1
    deliver_webhooks(timezone.now() + timedelta(hours=50))
    deliver_webhooks(timezone.now() + timedelta(hours=51))
    (message,) = mailoutbox
    assert message.to == ["team@example.com"]
    assert receiver.url("/hook") in message.body
    assert "s3cret" not in message.body
    work(hours=52)
    assert len(receiver.received) == 2, "a disabled webhook is left alone"

    resume_webhook(webhook, actor=SYSTEM)
    work()
    assert receiver.types == ["client.changed"] * 3, "what waited goes out"
    webhook.refresh_from_db()
    assert (webhook.status, webhook.failing_since) == ("active", None)


@pytest.mark.django_db
def test_a_notice_that_cannot_be_mailed_is_mailed_later(
    subscribe: Any, settings: Any, monkeypatch: pytest.MonkeyPatch, mailoutbox: list[Any]
) -> None:
    settings.DATAFOLD_OPERATORS_EMAIL = ["ops@example.com"]
    webhook, now = subscribe("https://hooks.example.com/"), timezone.now()
    Webhook.objects.filter(pk=webhook.pk).update(status="disabled", notice_due_at=now)
    with monkeypatch.context() as broken:
        broken.setattr(
            "django.core.mail.EmailMessage.send", lambda self: (_ for _ in ()).throw(OSError("no relay"))
        )
        assert deliver_webhooks(now)["notices"] == 0
    assert deliver_webhooks(now + timedelta(minutes=1))["notices"] == 0
    assert deliver_webhooks(now + timedelta(minutes=16))["notices"] == 1
    assert mail.outbox[0].to == ["ops@example.com"]


# --- Two workers, and a dead one ----------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_workers_at_once_deliver_each_event_once_and_in_order(receiver: Receiver, subscribe: Any) -> None:
    webhook = subscribe(receiver.url())
    names = ["suspended", "reactivated", "changed"] * 7
    happen(*names)
    feed(timezone.now())
    barrier = threading.Barrier(4)

    def run() -> None:
        try:
            barrier.wait(20)
            deliver(webhook.pk)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert receiver.types == [f"client.{name}" for name in names]


@pytest.mark.django_db
def test_while_one_worker_sends_no_other_does(receiver: Receiver, subscribe: Any) -> None:
    webhook = subscribe(receiver.url())
    happen("suspended")
    feed(timezone.now())
    others: list[int] = []

    def send(*args: Any, **kwargs: Any) -> transport.Answer:
        others.append(deliver(webhook.pk))
        return transport.post(*args, **kwargs)

    assert deliver(webhook.pk, send=send) == 1
    assert others == [0]
    assert len(receiver.received) == 1


class Killed(BaseException):
    """As if the process were gone: no handler of the code under test may run."""


@pytest.mark.django_db
def test_a_worker_that_dies_in_the_middle_is_made_up_for_when_its_lease_is_over(
    receiver: Receiver, subscribe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = subscribe(receiver.url())
    happen("suspended", "reactivated")
    feed(timezone.now())

    def die(*args: Any, **kwargs: Any) -> Any:
        transport.post(*args, **kwargs)
        raise Killed

    with monkeypatch.context() as dying:
        dying.setattr("accounts.webhooks.delivery._give_back", lambda *args, **kwargs: None)
        with pytest.raises(Killed):
            deliver(webhook.pk, send=die)
    assert receiver.types == ["client.suspended"]
    assert deliver(webhook.pk) == 0, "the lease holds"
    assert deliver(webhook.pk, clock=later(minutes=2)) == 2
    assert receiver.types == ["client.suspended", "client.suspended", "client.reactivated"]
    assert [attempt.error_code for attempt in WebhookAttempt.objects.order_by("pk")] == [
        "WORKER_LOST",
        "",
        "",
    ]


@pytest.mark.django_db
def test_a_worker_that_was_away_too_long_does_not_count_a_failure_twice(
    receiver: Receiver, subscribe: Any
) -> None:
    """It comes back after its lease ran out and another worker has delivered."""
    webhook = subscribe(receiver.url())
    happen("suspended")
    feed(timezone.now())

    def sleep_and_fail(*args: Any, **kwargs: Any) -> Any:
        assert deliver(webhook.pk, clock=later(minutes=2)) == 1
        raise transport.DeliveryFailed("TIMED_OUT", "too late")

    deliver(webhook.pk, send=sleep_and_fail)
    assert WebhookDelivery.objects.get().status == "delivered"
    webhook.refresh_from_db()
    assert webhook.failing_since is None


@pytest.mark.django_db
def test_paused_and_deleted_in_the_middle_of_a_turn(receiver: Receiver, subscribe: Any) -> None:
    webhook = subscribe(receiver.url())
    happen("suspended", "reactivated")
    feed(timezone.now())
    receiver.on_request = None

    def send_and_pause(*args: Any, **kwargs: Any) -> Any:
        answer = transport.post(*args, **kwargs)
        Webhook.objects.filter(pk=webhook.pk).update(status="paused")
        return answer

    assert deliver(webhook.pk, send=send_and_pause) == 1
    assert receiver.types == ["client.suspended"]
    resume_webhook(webhook, actor=SYSTEM)

    def send_and_delete(*args: Any, **kwargs: Any) -> Any:
        answer = transport.post(*args, **kwargs)
        Webhook.objects.all().delete()
        return answer

    deliver(webhook.pk, send=send_and_delete)
    assert receiver.types == ["client.suspended", "client.reactivated"]


# --- The log ------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_log_keeps_request_and_response_bounded_and_without_secrets(
    receiver: Receiver, subscribe: Any
) -> None:
    subscribe(receiver.url("/hook?token=s3cret"))
    receiver.answer(
        400, b'{"error": "no", "access_token": "s3cret"}' + b"\x00" * 5000, Set_Cookie="sid=s3cret"
    )
    happen("suspended")
    work()
    attempt = WebhookAttempt.objects.get()
    assert (attempt.status_code, attempt.error_code, attempt.address) == (400, "STATUS", "127.0.0.1")
    assert attempt.response_truncated
    assert len(attempt.response_body) <= 2100
    assert attempt.request_fields["Signature"] == "[redacted]"
    assert "datafold-webhook" in attempt.request_fields["Signature-Input"]
    assert "s3cret" not in json.dumps(
        [attempt.url, attempt.request_fields, attempt.response_fields, attempt.response_body]
    )


@pytest.mark.django_db
def test_a_redirect_is_a_failure_that_says_so(receiver: Receiver, subscribe: Any) -> None:
    subscribe(receiver.url())
    receiver.answer(307, Location="http://169.254.169.254/")
    happen("suspended")
    work()
    assert WebhookAttempt.objects.get().error_code == "REDIRECTED"
    assert len(receiver.received) == 1


@pytest.mark.django_db
def test_what_the_settings_forbid_later_is_not_sent_any_more(
    receiver: Receiver, subscribe: Any, settings: Any
) -> None:
    subscribe(receiver.url())
    subscribe(f"http://localhost:{receiver.port}/")
    settings.DATAFOLD_WEBHOOK_ALLOWED_NETWORKS = []
    happen("suspended")
    work()
    codes = set(WebhookAttempt.objects.values_list("error_code", flat=True))
    assert codes == {"URL_NOT_ALLOWED", "HOST_NOT_ALLOWED"}
    assert receiver.received == []


@pytest.mark.django_db
def test_old_deliveries_are_forgotten(receiver: Receiver, subscribe: Any) -> None:
    subscribe(receiver.url())
    happen("suspended")
    work()
    assert purge_webhooks(timezone.now() + timedelta(days=29))["deliveries"] == 0
    purge_webhooks(timezone.now() + timedelta(days=31))
    assert not WebhookDelivery.objects.exists()
    assert not WebhookAttempt.objects.exists()


# --- Again, and tests ----------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_what_was_delivered_is_sent_again_on_demand(receiver: Receiver, subscribe: Any) -> None:
    subscribe(receiver.url())
    happen("suspended")
    work()
    again = redeliver(WebhookDelivery.objects.get(), actor=SYSTEM)
    work()
    first, second = receiver.received
    assert first.body == second.body
    assert second.header("DataFold-Delivery") == str(again.delivery_id) != first.header("DataFold-Delivery")


@pytest.mark.django_db
def test_a_test_goes_past_the_queue_and_counts_for_nothing(receiver: Receiver, subscribe: Any) -> None:
    webhook = subscribe(receiver.url())
    receiver.answers = [(500, {}, b""), (418, {}, b"short and stout")]
    happen("suspended")
    work()
    attempt = send_test(webhook, actor=SYSTEM).attempts.get()
    assert receiver.types == ["client.suspended", "webhook.test"]
    assert (attempt.status_code, attempt.response_body) == (418, "short and stout")
    work(minutes=1)
    assert receiver.types == ["client.suspended", "webhook.test", "client.suspended"]


@pytest.mark.django_db(transaction=True)
def test_of_a_clients_tests_at_once_one_goes(
    receiver: Receiver, subscribe: Any, orders: SignedClient
) -> None:
    webhooks = [subscribe(receiver.url(f"/{number}"), client="orders") for number in range(4)]
    barrier, refused = threading.Barrier(4), list[Exception]()

    def run(webhook: Webhook) -> None:
        try:
            barrier.wait(20)
            send_test(webhook, actor=SYSTEM)
        except WebhookTestsTooOften as error:
            refused.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(webhook,)) for webhook in webhooks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (receiver.types, len(refused)) == (["webhook.test"], 3)


@pytest.mark.django_db
def test_a_new_url_gets_what_waits_at_once(receiver: Receiver, subscribe: Any) -> None:
    webhook = subscribe(receiver.url("/old"))
    receiver.answer(500)
    happen("suspended")
    work()
    change_webhook(webhook, actor=SYSTEM, changes={"url": receiver.url("/new")})
    work()
    assert [got.path for got in receiver.received] == ["/old", "/new"]


# --- The job --------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_job_does_it_all_without_a_broker(receiver: Receiver, subscribe: Any, settings: Any) -> None:
    settings.CELERY_TASK_ALWAYS_EAGER = True
    subscribe(receiver.url())
    happen("suspended")
    job = next(job for job in JOBS if job.name == "deliver-webhooks")
    assert run_job(job) == {"fed": 1, "due": 1, "attempts": 1, "notices": 0}
    assert run_job(job) == {"fed": 0, "due": 0, "attempts": 0, "notices": 0}
    assert receiver.types == ["client.suspended"]


@pytest.mark.django_db
def test_the_task_delivers(receiver: Receiver, subscribe: Any) -> None:
    webhook = subscribe(receiver.url())
    happen("suspended")
    feed(timezone.now())
    deliver_webhook.apply(args=(str(webhook.pk),)).get()
    assert receiver.types == ["client.suspended"]


@pytest.mark.django_db
def test_a_turn_ends_and_what_is_left_waits_at_the_end_of_the_queue(
    receiver: Receiver, subscribe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accounts.webhooks.delivery.TURN_SECONDS", 0.0001)
    receiver.on_request = lambda: time.sleep(0.001)
    webhook = subscribe(receiver.url())
    happen("suspended", "reactivated")
    feed(timezone.now())
    queued: list[Any] = []
    monkeypatch.setattr(deliver_webhook, "apply_async", lambda args, **_: queued.append(args))
    deliver_webhook.apply(args=(str(webhook.pk),)).get()
    assert (receiver.types, queued) == (["client.suspended"], [(str(webhook.pk),)])
    deliver_webhook.apply(args=queued[0]).get()
    assert receiver.types == ["client.suspended", "client.reactivated"]
    assert len(queued) == 1, "nothing is left"


@pytest.mark.django_db
def test_without_a_worker_that_takes_them_deliveries_do_not_fill_the_broker(
    subscribe: Any, settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CELERY_TASK_ALWAYS_EAGER = False
    subscribe("https://one.example.com/")
    subscribe("https://two.example.com/")
    happen("suspended")
    queued: list[Any] = []
    monkeypatch.setattr(deliver_webhook, "apply_async", lambda args, **_: queued.append(args))
    for waiting, handed_out in ((MOST_QUEUED - 1, 1), (MOST_QUEUED + 1, 0), (None, 2)):
        monkeypatch.setattr("project.queues.state", lambda *_, waiting=waiting: (waiting, None))
        deliver_webhooks(timezone.now())
        assert len(queued) == handed_out
        queued.clear()
    assert "a worker that takes the queue deliveries" in caplog.text


@pytest.mark.django_db
def test_a_server_that_cannot_sign_says_so_and_keeps_what_waits(
    receiver: Receiver, subscribe: Any, settings: Any
) -> None:
    subscribe(receiver.url())
    happen("suspended")
    feed(timezone.now())
    keys, settings.DATAFOLD_ENCRYPTION_KEYS = settings.DATAFOLD_ENCRYPTION_KEYS, []
    server_keys.clear_cache()
    with pytest.raises(Exception, match="DATAFOLD_ENCRYPTION_KEYS"):
        deliver_webhooks(timezone.now())
    settings.DATAFOLD_ENCRYPTION_KEYS = keys
    work()
    assert receiver.types == ["client.suspended"]
