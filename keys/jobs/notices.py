"""Telling people in time: keys that will expire, rotations that are asked for, decisions that wait."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet

from accounts.jobs import Counts
from accounts.models import JobRun
from keys.jobs.outbox import operators, send_each, send_together
from keys.models import DailySummary, ExpiryWarning, Key, KeyStatus, RotationNotice
from project.mail import send_mail

THRESHOLDS = (1, 7, 30)
SHOWN = 20
BATCH = 500

Audience = ExpiryWarning.Audience


def warn_of_expiry(now: datetime) -> Counts:
    """Warn contact and operators when an active key has 30, 7 and 1 days left, once each.

    A key is only ever warned of at the threshold that it is within: after days without a run nobody
    gets three mails at once.
    """
    for at, days in enumerate(THRESHOLDS):
        longer_than = timedelta(days=THRESHOLDS[at - 1]) if at else timedelta()
        for audience in Audience:
            _note(
                _expiring(now + longer_than, now + timedelta(days=days), days, audience), days, audience, now
            )
    due = ExpiryWarning.objects.select_related("key__client").filter(
        key__status=KeyStatus.ACTIVE, expires_at__gt=now
    )
    return {
        "contacts": send_each(due.filter(audience=Audience.CONTACT), now, _mail_contact),
        "operators": send_together(due.filter(audience=Audience.OPERATORS), now, _mail_operators),
    }


def ask_for_rotation(now: datetime) -> Counts:
    """Mail every request to rotate to the client's contact, once."""
    told = RotationNotice.objects.filter(key=OuterRef("pk"), rotate_by=OuterRef("rotate_by"))
    asked = Key.objects.filter(
        ~Exists(told), rotate_by__isnull=False, status=KeyStatus.ACTIVE, client__contact_email__gt=""
    )
    for batch in _batches(asked.only("pk", "rotate_by").iterator(chunk_size=BATCH)):
        RotationNotice.objects.bulk_create(
            [
                RotationNotice(key=key, rotate_by=key.rotate_by, created_at=now)
                for key in batch
                if key.rotate_by
            ],
            ignore_conflicts=True,
        )
    due = RotationNotice.objects.select_related("key__client").filter(key__status=KeyStatus.ACTIVE)
    return {"contacts": send_each(due, now, _mail_rotation)}


def summarise_the_day(now: datetime) -> Counts:
    """Mail the operators what waits for them, if anything does: once a day, from DATAFOLD_SUMMARY_HOUR (UTC) on."""
    if now.hour < settings.DATAFOLD_SUMMARY_HOUR:
        return {"sent": 0}
    DailySummary.objects.get_or_create(day=now.date(), defaults={"created_at": now})
    return {"sent": send_each(DailySummary.objects.filter(day=now.date()), now, _mail_summary)}


def _expiring(after: datetime, until: datetime, days: int, audience: str) -> QuerySet[Key]:
    warned = ExpiryWarning.objects.filter(
        key=OuterRef("pk"), days=days, expires_at=OuterRef("expires_at"), audience=audience
    )
    keys = Key.objects.filter(
        ~Exists(warned), status=KeyStatus.ACTIVE, expires_at__gt=after, expires_at__lte=until
    )
    return keys.filter(client__contact_email__gt="") if audience == Audience.CONTACT else keys


def _note(keys: QuerySet[Key], days: int, audience: str, now: datetime) -> None:
    for batch in _batches(keys.only("pk", "expires_at").iterator(chunk_size=BATCH)):
        ExpiryWarning.objects.bulk_create(
            [
                ExpiryWarning(
                    key=key, days=days, expires_at=key.expires_at, audience=audience, created_at=now
                )
                for key in batch
                if key.expires_at
            ],
            ignore_conflicts=True,
        )


def _batches(keys: Iterable[Key]) -> Iterable[list[Key]]:
    iterator = iter(keys)
    while batch := list(islice(iterator, BATCH)):
        yield batch


def _mail_contact(warning: ExpiryWarning) -> None:
    send_mail(
        "expiry_contact",
        {"key": warning.key, "days": warning.days},
        to=[warning.key.client.contact_email],
        identity=f"expiry {warning.pk}",
    )


def _mail_operators(warnings: Sequence[ExpiryWarning]) -> None:
    if addresses := operators():
        send_mail(
            "expiry_operators",
            {"warnings": sorted(warnings, key=lambda warning: warning.expires_at)},
            to=addresses,
            identity=f"expiry {warnings[0].pk} to {warnings[-1].pk}",
        )


def _mail_rotation(notice: RotationNotice) -> None:
    send_mail(
        "rotation_requested",
        {"key": notice.key, "rotate_by": notice.rotate_by},
        to=[notice.key.client.contact_email],
        identity=f"rotation {notice.pk}",
    )


def _mail_summary(summary: DailySummary) -> None:
    context, addresses = summary_context(summary.created_at), operators()
    if addresses and any(context[name] for name in ("pending", "expiring", "overdue", "failing")):
        send_mail("daily_summary", context, to=addresses, identity=f"summary {summary.day}")


def summary_context(now: datetime) -> dict[str, Any]:
    """What waits for the operators: at most SHOWN of each kind."""
    keys = Key.objects.select_related("client")
    pending = list(keys.filter(status=KeyStatus.PENDING).order_by("registered_at")[: SHOWN + 1])
    week = now + timedelta(days=7)
    return {
        "pending": pending[:SHOWN],
        "pending_count": min(len(pending), SHOWN),
        "pending_more": len(pending) > SHOWN,
        "expiring": list(
            keys.filter(status=KeyStatus.ACTIVE, expires_at__gt=now, expires_at__lte=week).order_by(
                "expires_at"
            )[:SHOWN]
        ),
        "overdue": list(
            keys.filter(status=KeyStatus.ACTIVE, rotate_by__lte=now).order_by("rotate_by")[:SHOWN]
        ),
        "failing": list(JobRun.objects.exclude(last_error="")[:SHOWN]),
    }
