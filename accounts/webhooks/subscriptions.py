"""What clients and operators do with their webhooks: each one transaction with its audit event."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from kombu.exceptions import OperationalError

from accounts.audit import Actor, record_event
from accounts.models import (
    Client,
    DeliveryStatus,
    Webhook,
    WebhookAttempt,
    WebhookDelivery,
    WebhookStatus,
)
from accounts.models.webhook import TEST_LIFETIME
from accounts.webhooks import events, transport
from accounts.webhooks.delivery import Send, exchange, start_attempt
from accounts.webhooks.errors import (
    WebhookLimitReached,
    WebhookNotFound,
    WebhookStateConflict,
    WebhookTestNotSent,
    WebhookTestsTooOften,
)
from accounts.webhooks.feed import start_reading
from accounts.webhooks.message import event_body
from accounts.webhooks.policy import MAX_PER_CLIENT, current_policy
from keys.server_keys import current_signer
from project.api.envelope import rfc3339

MAX_EVENTS = 50
TEST_PAUSE = timedelta(seconds=10)
CHANGEABLE = frozenset({"url", "events", "description"})


def create_webhook(
    *, actor: Actor, client: Client | None, url: str, events: Sequence[str], description: str = ""
) -> Webhook:
    """Subscribe to what happens from now on.

    Args:
        client: who hears of itself and its schemas; None: the operators, who hear of everything.
        events: types, families ("key.*") or "*".

    Raises:
        WebhookUrlRefused, WebhookLimitReached
        ValidationError: an event that does not exist, or is not for clients.
    """
    webhook = Webhook(
        client=client,
        created_by=actor.user,
        url=current_policy().target(url).url,
        events=_checked_events(events, for_client=client is not None),
        description=description,
        created_at=timezone.now(),
    )
    with transaction.atomic():
        start_reading()
        if client is not None:
            Client.objects.select_for_update().get(pk=client.pk)  # two calls at once count each other's
            _refuse_too_many(client)
        webhook.save(force_insert=True)
        _record(webhook, actor, "webhook.created", after=_facts(webhook))
    return webhook


def change_webhook(webhook: Webhook, *, actor: Actor, changes: dict[str, Any]) -> Webhook:
    """Set what of `CHANGEABLE` differs. What waits goes to the new URL, at once.

    Raises:
        WebhookUrlRefused, ValidationError
    """
    wish = {name: value for name, value in changes.items() if name in CHANGEABLE}
    if "url" in wish:
        wish["url"] = current_policy().target(wish["url"]).url
    if "events" in wish:
        wish["events"] = _checked_events(wish["events"], for_client=webhook.client_id is not None)
    with transaction.atomic():
        webhook = _locked(webhook)
        changed = [name for name, value in wish.items() if getattr(webhook, name) != value]
        if not changed:
            return webhook
        before = _facts(webhook)
        for name in changed:
            setattr(webhook, name, wish[name])
        webhook.save(update_fields=[*changed, "updated_at"])
        if "url" in changed:
            _send_what_waits(webhook, now=timezone.now())
        after = _facts(webhook)
        _record(
            webhook,
            actor,
            "webhook.changed",
            before={name: before[name] for name in changed},
            after={name: after[name] for name in changed},
        )
    return webhook


def pause_webhook(webhook: Webhook, *, actor: Actor, reason: str = "") -> Webhook:
    """Send nothing and collect nothing until it is resumed; what waits stays."""
    with transaction.atomic():
        webhook = _locked(webhook)
        if webhook.status != WebhookStatus.ACTIVE:
            return webhook
        _set_status(webhook, WebhookStatus.PAUSED, actor=actor, action="webhook.paused", reason=reason)
    return webhook


def resume_webhook(webhook: Webhook, *, actor: Actor, reason: str = "") -> Webhook:
    """Send again, starting with what still waits; collect what happens from now on."""
    with transaction.atomic():
        webhook = _locked(webhook)
        if webhook.status == WebhookStatus.ACTIVE:
            return webhook
        webhook.failing_since = webhook.notice_due_at = None
        webhook.save(update_fields=["failing_since", "notice_due_at", "updated_at"])
        _set_status(webhook, WebhookStatus.ACTIVE, actor=actor, action="webhook.resumed", reason=reason)
        _send_what_waits(webhook, now=timezone.now())
    return webhook


def delete_webhook(webhook: Webhook, *, actor: Actor) -> None:
    """End the subscription; its delivery log goes with it, the audit log keeps that it was there."""
    with transaction.atomic():
        webhook = _locked(webhook)
        _record(webhook, actor, "webhook.deleted", before=_facts(webhook))
        webhook.delete()


def redeliver(delivery: WebhookDelivery, *, actor: Actor) -> WebhookDelivery:
    """Queue the event once more, behind what waits already. Its id stays, the delivery's is new.

    Raises:
        WebhookStateConflict: it still waits, or the subscription is not active.
    """
    with transaction.atomic():
        webhook = _locked(delivery.webhook)
        if delivery.event_type == events.TEST or not delivery_finished(delivery):
            raise WebhookStateConflict(
                "This delivery still waits for its turn, or is a test. Only what was delivered or given up is sent "
                "again.",
                status=delivery.status,
            )
        if webhook.status != WebhookStatus.ACTIVE:
            raise WebhookStateConflict(
                f"The webhook is {webhook.status}. Resume it first; what waits goes out then.",
                status=webhook.status,
            )
        again = WebhookDelivery.objects.create(
            webhook=webhook,
            event_id=delivery.event_id,
            event_type=delivery.event_type,
            body=delivery.body,
            replay_of=delivery,
            created_at=timezone.now(),
        )
        Webhook.objects.filter(pk=webhook.pk, due_at__isnull=True).update(due_at=again.created_at)
        _record(
            webhook,
            actor,
            "webhook.redelivered",
            after={"event_id": str(again.event_id), "type": again.event_type},
        )
    return again


def send_test(webhook: Webhook, *, actor: Actor, send: Send = transport.post) -> WebhookDelivery:
    """Send a `webhook.test` past the queue: by a worker of deliveries, or here where there is no broker.

    The web server may have no way out, and a receiver may keep its thread for long. The test does not count
    as failure.

    Returns:
        the delivery; with its attempt if that is over already.

    Raises:
        WebhookTestsTooOften, WebhookTestNotSent
        EncryptionKeysMissing, SecretUnreadable: the server cannot sign.
    """
    now, event_id = timezone.now(), uuid.uuid4()
    current_signer()
    with transaction.atomic():
        _claim_test(webhook, now)
        delivery = WebhookDelivery.objects.create(
            webhook=webhook,
            event_id=event_id,
            event_type=events.TEST,
            body=event_body(
                event_id=str(event_id),
                event_type=events.TEST,
                created_at=rfc3339(now),
                data={"webhook": str(webhook.pk), "message": "A test: nothing happened."},
            ),
            status=DeliveryStatus.FAILED,  # until the receiver says otherwise; never in the queue
            created_at=now,
        )
        _record(webhook, actor, "webhook.tested", after={"delivery_id": str(delivery.delivery_id)})
    if settings.CELERY_TASK_ALWAYS_EAGER:
        carry_out_test(delivery.pk, send=send)
    else:
        _hand_out_test(delivery)
    found = WebhookDelivery.objects.filter(pk=delivery.pk).first()
    if found is None:
        raise WebhookNotFound("The webhook was deleted meanwhile.")
    return found


def carry_out_test(delivery_pk: int, *, send: Send = transport.post) -> None:
    """Make the attempt of a test. Called again after the end of it, it does nothing.

    Raises:
        EncryptionKeysMissing, SecretUnreadable: the server cannot sign.
    """
    signer, policy, now = current_signer(), current_policy(), timezone.now()
    tests = WebhookDelivery.objects.filter(pk=delivery_pk, event_type=events.TEST, finished_at=None)
    delivery = tests.select_related("webhook__client").first()
    attempt = start_attempt(delivery, now=now) if delivery else None
    if delivery is None or attempt is None:
        return
    outcome = exchange(delivery, attempt, signer=signer, policy=policy, send=send, now=now)
    status = DeliveryStatus.DELIVERED if outcome.delivered else DeliveryStatus.FAILED
    tests.update(status=status, finished_at=timezone.now())


def _hand_out_test(delivery: WebhookDelivery) -> None:
    from accounts.tasks import send_webhook_test

    try:
        send_webhook_test.apply_async((delivery.pk,), expires=TEST_LIFETIME.total_seconds())
    except OperationalError as error:
        WebhookDelivery.objects.filter(pk=delivery.pk).update(finished_at=timezone.now())
        raise WebhookTestNotSent(
            "The broker does not answer, so no worker heard of the test. Test again in a minute.",
            retry_after=60,
        ) from error


def delivery_finished(delivery: WebhookDelivery) -> bool:
    return delivery.status != DeliveryStatus.PENDING


def attempt_request(attempt: WebhookAttempt) -> dict[str, Any]:
    """What was sent, as data."""
    return {
        "method": "POST",
        "url": attempt.url,
        "headers": attempt.request_fields,
        "body": json.loads(attempt.delivery.body),
    }


def _claim_test(webhook: Webhook, now: datetime) -> None:
    """Within the caller's transaction."""
    if webhook.client_id is not None:
        Client.objects.select_for_update().get(pk=webhook.client_id)  # tests of its other webhooks wait here
    rested = Q(tested_at__isnull=True) | Q(tested_at__lte=now - TEST_PAUSE)
    siblings = Webhook.objects.filter(client=webhook.client_id, tested_at__gt=now - TEST_PAUSE)
    busy = webhook.client_id is not None and siblings.exists()
    if busy or not Webhook.objects.filter(rested, pk=webhook.pk).update(tested_at=now):
        seconds = int(TEST_PAUSE.total_seconds())
        raise WebhookTestsTooOften(
            f"One test every {seconds} seconds. Wait a moment, and test again.", retry_after=seconds
        )


def _checked_events(wanted: Sequence[str], *, for_client: bool) -> list[str]:
    if not isinstance(wanted, list | tuple) or not 1 <= len(wanted) <= MAX_EVENTS:
        raise ValidationError({"events": f"Give a list of 1 to {MAX_EVENTS} events."})
    if problems := [
        problem for pattern in wanted if (problem := events.pattern_problem(pattern, for_client=for_client))
    ]:
        raise ValidationError({"events": problems})
    return sorted(set(wanted))


def _refuse_too_many(client: Client) -> None:
    if Webhook.objects.filter(client=client).count() >= MAX_PER_CLIENT:
        raise WebhookLimitReached(
            f"A client has at most {MAX_PER_CLIENT} webhooks. Delete one, or have one of them hear of more.",
            limit=MAX_PER_CLIENT,
        )


def _locked(webhook: Webhook) -> Webhook:
    return Webhook.objects.select_for_update(of=("self",)).select_related("client").get(pk=webhook.pk)


def _set_status(webhook: Webhook, to: WebhookStatus, *, actor: Actor, action: str, reason: str) -> None:
    before = webhook.status
    webhook.status, webhook.status_reason = to, reason[:500]
    webhook.save(update_fields=["status", "status_reason", "updated_at"])
    _record(webhook, actor, action, before={"status": before}, after={"status": to.value}, reason=reason)


def _send_what_waits(webhook: Webhook, *, now: datetime) -> None:
    """The backoff was about how it was before."""
    waiting = WebhookDelivery.objects.filter(webhook=webhook, status=DeliveryStatus.PENDING)
    waiting.update(next_attempt_at=None, first_attempt_at=None)
    Webhook.objects.filter(pk=webhook.pk).update(due_at=now if waiting.exists() else None)


def _facts(webhook: Webhook) -> dict[str, Any]:
    return {
        "url": webhook.shown_url,
        "events": webhook.events,
        "description": webhook.description,
        "status": webhook.status,
    }


def _record(
    webhook: Webhook,
    actor: Actor,
    action: str,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    reason: str = "",
) -> None:
    record_event(
        actor=actor,
        action=action,
        target_kind="webhook",
        target_id=str(webhook.pk),
        target_label=str(webhook),
        before=before,
        after=after,
        reason=reason,
    )
