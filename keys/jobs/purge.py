"""Forgetting what has no use any more, a bounded batch at a time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from axes.models import AccessAttempt, AccessFailureLog
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import models
from django.db.models.functions import Now

from accounts.jobs import Counts
from keys.models import HourTotal, KeyUsage, RateCounter, Refusal, RefusalCount, SpentNonce

BATCH = 1000
NONCE_MARGIN = timedelta(minutes=1)
KEEP_FAILED_LOGINS = timedelta(days=1)


def purge_replay_memory(now: datetime) -> Counts:
    """Nonces that no fresh signature can carry any more, and rates of windows long over.

    Nonces by the database's clock, which judges them (`keys.replay.database`), and not by a worker's.
    """
    forgettable = SpentNonce.objects.filter(expires_at__lt=Now() - NONCE_MARGIN)
    return {
        "nonces": delete_in_batches(forgettable),
        "rates": delete_in_batches(RateCounter.objects.filter(window__lt=int(now.timestamp()) - 86_400)),
    }


def purge_statistics(now: datetime) -> Counts:
    """Refusals and hourly counts older than the settings keep them."""
    counts_end = now - timedelta(days=settings.DATAFOLD_USAGE_DAYS)
    refusals_end = now - timedelta(days=settings.DATAFOLD_REFUSAL_DAYS)
    return {
        "usage": delete_in_batches(KeyUsage.objects.filter(hour__lt=counts_end)),
        "hour_totals": delete_in_batches(HourTotal.objects.filter(hour__lt=counts_end)),
        "refusal_counts": delete_in_batches(RefusalCount.objects.filter(hour__lt=counts_end)),
        "refusals": delete_in_batches(Refusal.objects.filter(created_at__lt=refusals_end)),
    }


def purge_sessions(now: datetime) -> Counts:
    """Sessions that have ended (of browsers and of tokens), and failed logins that lock nobody out any more."""
    unlocked = now - max(settings.AXES_COOLOFF_TIME, KEEP_FAILED_LOGINS)
    return {
        "sessions": delete_in_batches(Session.objects.filter(expire_date__lt=now)),
        "failed_logins": delete_in_batches(AccessAttempt.objects.filter(attempt_time__lt=unlocked))
        + delete_in_batches(AccessFailureLog.objects.filter(attempt_time__lt=unlocked)),
    }


def delete_in_batches(rows: models.QuerySet[Any]) -> int:
    """Delete the rows, BATCH per transaction, so that writers never wait long."""
    total = 0
    while True:
        ids = list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH])
        if ids:
            total += rows.model._default_manager.filter(pk__in=ids).delete()[0]
        if len(ids) < BATCH:
            return total
