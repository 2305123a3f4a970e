"""State changes that are due by the clock: expiry, the end of a grace, a decision nobody took."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce

from accounts.audit import Actor
from accounts.jobs import Counts, complete_until
from keys import lifecycle
from keys.errors import KeyStateConflict
from keys.models import TRANSITIONS, VERIFYING, Key, KeyStatus

BATCH = 500
FLUSH_USAGE = "flush-usage"


def overdue(now: datetime) -> QuerySet[Key]:
    """Keys past their end that still have a state to lose."""
    return Key.objects.filter(status__in=list(TRANSITIONS), expires_at__lte=now)


def expire_keys(now: datetime) -> Counts:
    """Expire every key whose `expires_at` has passed."""
    actor = Actor.system("expiry")
    return {"expired": _decide_each(overdue(now), lambda key: lifecycle.expire(key, actor=actor))}


def retire_keys(now: datetime) -> Counts:
    """Retire rotated keys: those whose grace is over, and those whose traffic has moved."""
    actor = Actor.system("rotation")
    over = Key.objects.filter(status=KeyStatus.RETIRING, retire_at__lte=now)
    retired = _decide_each(over, lambda key: lifecycle.retire(key, actor=actor, reason="its grace is over"))
    moved = _decide_each(
        traffic_moved(now),
        lambda key: lifecycle.retire(key, actor=actor, reason="its traffic has moved to its successor"),
    )
    return {"retired": retired, "moved": moved}


def traffic_moved(now: datetime) -> QuerySet[Key]:
    """Retiring keys that nobody used for DATAFOLD_RETIRE_QUIET_MINUTES while the successor was used.

    Use is only known up to the last flush of the counters, so silence counts up to there.
    """
    quiet = timedelta(minutes=settings.DATAFOLD_RETIRE_QUIET_MINUTES)
    known_until = complete_until(FLUSH_USAGE) if settings.REDIS_URL else now
    if not quiet or known_until is None:
        return Key.objects.none()
    silent_since = known_until - quiet
    return Key.objects.filter(
        Q(last_used_at__isnull=True) | Q(last_used_at__lte=silent_since),
        status=KeyStatus.RETIRING,
        decided_at__lte=silent_since,
        successors__status__in=list(VERIFYING),
        successors__last_used_at__gt=Coalesce(F("last_used_at"), F("decided_at")),
    )


def reject_stale_registrations(now: datetime) -> Counts:
    """Reject what waited for a decision longer than DATAFOLD_PENDING_LIFETIME_DAYS (0: never)."""
    days = settings.DATAFOLD_PENDING_LIFETIME_DAYS
    if days <= 0:
        return {"rejected": 0}
    stale = Key.objects.filter(status=KeyStatus.PENDING, registered_at__lte=now - timedelta(days=days))
    reason = f"No operator decided within {days} days. Register a new key, and tell an operator."
    actor = Actor.system("registrations")
    return {"rejected": _decide_each(stale, lambda key: lifecycle.reject(key, actor=actor, reason=reason))}


def _decide_each(due: QuerySet[Key], decide: Callable[[Key], object]) -> int:
    """Decide every key of `due`, each in its own transaction; how many this run decided."""
    total = 0
    while True:
        ids = list(due.values_list("pk", flat=True)[:BATCH])
        done = sum(_decide(due, pk, decide) for pk in ids)
        total += done
        if len(ids) < BATCH or not done:
            return total


def _decide(due: QuerySet[Key], pk: uuid.UUID, decide: Callable[[Key], object]) -> bool:
    # Read again: what was due when the batch was read may have been prolonged since.
    key = due.select_related("client").filter(pk=pk).first()
    if key is None:
        return False
    try:
        decide(key)
    except KeyStateConflict:
        return False  # somebody else decided it just now
    return True
