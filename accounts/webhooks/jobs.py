"""What webhooks have done on a timetable: see `keys.jobs`, which runs these with its own."""

from __future__ import annotations

import logging
import smtplib
import time
import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from accounts.jobs import Counts, Job
from accounts.models import Webhook, WebhookDelivery, WebhookStatus
from accounts.webhooks.delivery import deliver, due
from accounts.webhooks.feed import feed
from keys.jobs.outbox import operators
from keys.jobs.purge import delete_in_batches
from keys.server_keys import current_signer
from project import queues
from project.mail import send_mail

log = logging.getLogger(__name__)

# Without a broker one receiver is served after the other, so a round ends after so many seconds.
ROUND_SECONDS = 30.0
CLAIM_LIFETIME = timedelta(minutes=15)
# A task that no worker took by then is told to the next round's anyway.
TASK_LIFETIME_SECONDS = 30
# With more tasks than these no worker takes them, or too few do. Redis, which keeps the nonces, too, is not filled up.
MOST_QUEUED = 2000


def deliver_webhooks(now: datetime) -> Counts:
    """Make deliveries of what happened, and send those that are due: by tasks, or here without a broker."""
    fed = feed(now)
    waiting = due(timezone.now())
    if waiting:
        current_signer()  # a server that cannot sign says so here, on record
    attempts = 0 if _hand_out(waiting) else _send_here(waiting)
    return {"fed": fed, "due": len(waiting), "attempts": attempts, "notices": send_notices(now)}


def purge_webhooks(now: datetime) -> Counts:
    """Forget deliveries, with their attempts, after DATAFOLD_WEBHOOK_DAYS."""
    end = now - timedelta(days=settings.DATAFOLD_WEBHOOK_DAYS)
    return {"deliveries": delete_in_batches(WebhookDelivery.objects.filter(created_at__lt=end))}


def send_notices(now: datetime) -> int:
    """Mail whoever owns a webhook that was disabled. A mail that fails is tried again after CLAIM_LIFETIME."""
    disabled = Webhook.objects.select_related("client").filter(
        notice_due_at__lte=now, status=WebhookStatus.DISABLED
    )
    return sum(_send_notice(webhook, now) for webhook in disabled[:100])


def _hand_out(waiting: list[uuid.UUID]) -> bool:
    if settings.CELERY_TASK_ALWAYS_EAGER:
        return False
    from accounts.tasks import deliver_webhook

    queued, _ = queues.state(queues.DELIVERIES)
    room = max(0, MOST_QUEUED - (queued or 0))
    for pk in waiting[:room]:
        deliver_webhook.apply_async((str(pk),), expires=TASK_LIFETIME_SECONDS)
    if len(waiting) > room:
        log.error("%d tasks wait for a worker that takes the queue %s", queued, queues.DELIVERIES)
    return True


def _send_here(waiting: list[uuid.UUID]) -> int:
    until, attempts = time.monotonic() + ROUND_SECONDS, 0
    for pk in waiting:
        if time.monotonic() > until:
            break
        attempts += deliver(pk)
    return attempts


def _send_notice(webhook: Webhook, now: datetime) -> int:
    claim = Webhook.objects.filter(pk=webhook.pk, notice_due_at=webhook.notice_due_at)
    again_at = now + CLAIM_LIFETIME
    if not claim.update(notice_due_at=again_at):
        return 0
    addresses = [webhook.client.contact_email] if webhook.client else operators()
    try:
        if any(addresses):
            send_mail(
                "webhook_disabled",
                {"webhook": webhook},
                to=[address for address in addresses if address],
                identity=f"webhook disabled {webhook.pk} {webhook.failing_since}",
            )
    except (OSError, smtplib.SMTPException) as error:
        log.error("mail not sent: %s", error)
        return 0
    Webhook.objects.filter(pk=webhook.pk, notice_due_at=again_at).update(notice_due_at=None)
    return int(any(addresses))


JOBS = (
    Job("deliver-webhooks", deliver_webhooks, timedelta(seconds=5)),
    Job("purge-webhooks", purge_webhooks, timedelta(hours=1)),
)
