"""Sending what waits: in order, by one worker at a time, at least once.

A worker takes the lease of a subscription by compare-and-swap and renews it before every attempt. While
it holds it, nobody else sends to that receiver, and a later event waits for the earlier one. A worker
that dies leaves an attempt without an end and a lease that runs out; the next one sends again.
No transaction is open while a receiver is talked to.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts.audit import Actor, record_event
from accounts.models import DeliveryStatus, Webhook, WebhookAttempt, WebhookDelivery, WebhookStatus
from accounts.webhooks import transport
from accounts.webhooks.backoff import delay_after
from accounts.webhooks.errors import WebhookUrlRefused
from accounts.webhooks.message import Signer, request_fields
from accounts.webhooks.policy import Policy, current_policy
from accounts.webhooks.redaction import body_to_keep, plain, request_fields_to_keep, response_fields_to_keep
from accounts.webhooks.targets import Target
from keys.server_keys import current_signer
from project.version import VERSION

MOST_AT_ONCE = 100
TURN_SECONDS = 5.0
# Not APP_NAME and VERSION of the settings: a field of HTTP takes no other letters than ASCII's.
USER_AGENT = f"DataFold/{VERSION}"
_KEPT = (
    "duration_ms",
    "request_fields",
    "address",
    "status_code",
    "response_fields",
    "response_body",
    "response_truncated",
    "error_code",
    "error",
)

Send = Callable[..., transport.Answer]
Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt went. `error` is empty if the receiver took the event."""

    error_code: str = ""
    error: str = ""
    answer: transport.Answer | None = None
    address: str = ""

    @property
    def delivered(self) -> bool:
        return not self.error_code


def deliver(webhook_id: uuid.UUID, *, send: Send = transport.post, clock: Clock = timezone.now) -> int:
    """Send what is due to one subscription; how many attempts were made.

    Returns at once if another worker is at it. Goes on for at most TURN_SECONDS and one attempt, so that
    of two receivers that are slow the other one has its turn, too.

    Raises:
        EncryptionKeysMissing, SecretUnreadable: the server cannot sign.
    """
    signer, policy = current_signer(), current_policy()
    token = _take_lease(webhook_id, policy, now=clock())
    if token is None:
        return 0
    made, until = 0, time.monotonic() + TURN_SECONDS
    try:
        while made < MOST_AT_ONCE and time.monotonic() < until:
            delivery = _next(webhook_id, now=clock())
            if delivery is None or not _renew(webhook_id, token, policy, now=clock()):
                break
            attempt = start_attempt(delivery, now=clock())
            if attempt is None:
                break
            made += 1
            outcome = exchange(delivery, attempt, signer=signer, policy=policy, send=send, now=clock())
            if not _conclude(delivery, outcome, token=token, policy=policy, now=clock()):
                break
    finally:
        _give_back(webhook_id, token, now=clock())
    return made


def start_attempt(delivery: WebhookDelivery, *, now: datetime) -> WebhookAttempt | None:
    """Put on record that it is about to be sent, so that a crash in between shows; None if it was deleted."""
    with transaction.atomic():
        if not WebhookDelivery.objects.select_for_update().filter(pk=delivery.pk).exists():
            return None
        lost = WebhookAttempt.objects.filter(delivery=delivery, duration_ms__isnull=True)
        lost.update(
            duration_ms=0, error_code="WORKER_LOST", error="The worker stopped in the middle; sent again."
        )
        WebhookDelivery.objects.filter(pk=delivery.pk).update(
            attempts_made=F("attempts_made") + 1, first_attempt_at=Coalesce("first_attempt_at", now)
        )
        delivery.refresh_from_db(fields=["attempts_made", "first_attempt_at"])
        return WebhookAttempt.objects.create(
            delivery=delivery,
            number=delivery.attempts_made,
            started_at=now,
            url=delivery.webhook.shown_url,
        )


def exchange(
    delivery: WebhookDelivery,
    attempt: WebhookAttempt,
    *,
    signer: Signer,
    policy: Policy,
    send: Send,
    now: datetime,
) -> Outcome:
    """Sign, send, and keep what went out and what came back."""
    body, started = delivery.body.encode(), time.monotonic()
    try:
        target = policy.target(delivery.webhook.url)
        fields = _fields(target, delivery, body, signer, now)
        attempt.request_fields = request_fields_to_keep(fields)
        answer = send(target, fields, body, seconds=policy.seconds, exceptions=policy.exceptions)
        outcome = _judge(answer)
    except WebhookUrlRefused as error:
        outcome = Outcome("URL_NOT_ALLOWED", error.message)
    except transport.DeliveryFailed as error:
        outcome = Outcome(error.code, error.message, address=error.address)
    attempt.duration_ms = int((time.monotonic() - started) * 1000)
    _keep(attempt, outcome)
    return outcome


def _fields(
    target: Target, delivery: WebhookDelivery, body: bytes, signer: Signer, now: datetime
) -> dict[str, str]:
    return request_fields(
        target,
        body,
        event_type=delivery.event_type,
        delivery_id=str(delivery.delivery_id),
        signer=signer,
        now=int(now.timestamp()),
        nonce=secrets.token_urlsafe(18),
        user_agent=USER_AGENT,
    )


def _judge(answer: transport.Answer) -> Outcome:
    judged = partial(Outcome, answer=answer, address=answer.address)
    if 200 <= answer.status < 300:
        return judged()
    if 300 <= answer.status < 400:
        return judged("REDIRECTED", f"It answered {answer.status}. Redirects are not followed.")
    return judged(
        "STATUS", f"It answered {answer.status}; a status of 200 to 299 says that it has the event."
    )


def _keep(attempt: WebhookAttempt, outcome: Outcome) -> None:
    attempt.error_code, attempt.error = outcome.error_code, plain(outcome.error)[:500]
    attempt.address = outcome.address
    if answer := outcome.answer:
        attempt.status_code = answer.status
        attempt.response_fields = response_fields_to_keep(answer.fields)
        attempt.response_body = body_to_keep(answer.body)
        attempt.response_truncated = answer.truncated
    # Not save(): it would bring back what was deleted while the receiver was talked to.
    WebhookAttempt.objects.filter(pk=attempt.pk).update(**{name: getattr(attempt, name) for name in _KEPT})


def _take_lease(webhook_id: uuid.UUID, policy: Policy, *, now: datetime) -> uuid.UUID | None:
    token = uuid.uuid4()
    mine = _due(now).filter(pk=webhook_id)
    return token if mine.update(lease_token=token, lease_until=now + policy.lease) else None


def _renew(webhook_id: uuid.UUID, token: uuid.UUID, policy: Policy, *, now: datetime) -> bool:
    """False if it ran out meanwhile, or the subscription was paused or deleted."""
    mine = Webhook.objects.filter(
        pk=webhook_id, lease_token=token, lease_until__gt=now, status=WebhookStatus.ACTIVE
    )
    return bool(mine.update(lease_until=now + policy.lease))


def _next(webhook_id: uuid.UUID, *, now: datetime) -> WebhookDelivery | None:
    """The oldest that waits, if it is due. Nothing overtakes it."""
    oldest = (
        WebhookDelivery.objects.select_related("webhook__client")
        .filter(webhook=webhook_id, status=DeliveryStatus.PENDING)
        .order_by("pk")
        .first()
    )
    due = oldest is not None and (oldest.next_attempt_at is None or oldest.next_attempt_at <= now)
    return oldest if due else None


def _give_back(webhook_id: uuid.UUID, token: uuid.UUID, *, now: datetime) -> None:
    """Release the lease and note when the next attempt is due."""
    with transaction.atomic():
        # The lock comes before the look: the feed marks the row after it has added deliveries.
        if not Webhook.objects.select_for_update().filter(pk=webhook_id, lease_token=token).exists():
            return
        waiting = WebhookDelivery.objects.filter(webhook=webhook_id, status=DeliveryStatus.PENDING)
        oldest = waiting.order_by("pk").first()
        due_at = None if oldest is None else oldest.next_attempt_at or now
        Webhook.objects.filter(pk=webhook_id).update(lease_token=None, lease_until=None, due_at=due_at)


def _conclude(
    delivery: WebhookDelivery, outcome: Outcome, *, token: uuid.UUID, policy: Policy, now: datetime
) -> bool:
    """Record what the attempt means for the delivery and the subscription; whether to go on."""
    with transaction.atomic():
        webhook = Webhook.objects.select_for_update(of=("self",)).filter(pk=delivery.webhook_id).first()
        if webhook is None:
            return False
        pending = WebhookDelivery.objects.filter(pk=delivery.pk, status=DeliveryStatus.PENDING)
        if outcome.delivered:
            pending.update(status=DeliveryStatus.DELIVERED, finished_at=now, next_attempt_at=None)
            Webhook.objects.filter(pk=webhook.pk).update(failing_since=None, last_success_at=now)
            return True
        if webhook.lease_token != token:
            return False  # this worker was away too long, and another one is at it
        failing_since = webhook.failing_since or now
        Webhook.objects.filter(pk=webhook.pk).update(failing_since=failing_since)
        if now - failing_since >= policy.disable_after:
            _disable(webhook, outcome, failing_since=failing_since, now=now)
            return False
        if now - (delivery.first_attempt_at or now) >= policy.give_up_after:
            pending.update(status=DeliveryStatus.FAILED, finished_at=now, next_attempt_at=None)
            return True
        jitter = secrets.randbelow(1000) / 1000
        pending.update(next_attempt_at=now + delay_after(delivery.attempts_made, jitter=jitter))
        return False


def _disable(webhook: Webhook, outcome: Outcome, *, failing_since: datetime, now: datetime) -> None:
    """Nothing was taken for so long: stop, and say so. What waits goes out when it is resumed."""
    reason = f"Nothing was taken since {failing_since:%Y-%m-%d %H:%M} UTC. Last: {outcome.error}"[:500]
    Webhook.objects.filter(pk=webhook.pk).update(
        status=WebhookStatus.DISABLED, status_reason=plain(reason), notice_due_at=now
    )
    record_event(
        actor=Actor.system("webhooks"),
        action="webhook.disabled",
        target_kind="webhook",
        target_id=str(webhook.pk),
        target_label=str(webhook),
        before={"status": webhook.status},
        after={"status": WebhookStatus.DISABLED.value},
        reason=plain(reason),
    )


def due(now: datetime, *, limit: int = 1000) -> list[uuid.UUID]:
    """Subscriptions with something to send that nobody is sending to, the longest overdue first."""
    return list(_due(now).order_by("due_at").values_list("pk", flat=True)[:limit])


def is_due(webhook_id: uuid.UUID, now: datetime) -> bool:
    return _due(now).filter(pk=webhook_id).exists()


def _due(now: datetime) -> QuerySet[Webhook]:
    free = Q(lease_until__isnull=True) | Q(lease_until__lte=now)
    return Webhook.objects.filter(free, status=WebhookStatus.ACTIVE, due_at__lte=now)
