"""Mail that is due, sent once: claim the row, send outside of any transaction, mark it sent.

A worker that dies after its claim leaves the row behind; after CLAIM_LIFETIME the next one sends it.
Should the first have died between sending and marking, the second mail bears the same Message-ID.
"""

from __future__ import annotations

import logging
import smtplib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from django.conf import settings
from django.db.models import Q, QuerySet

from accounts.models import User
from accounts.roles import Role
from keys.models.notice import Notice

log = logging.getLogger(__name__)

CLAIM_LIFETIME = timedelta(minutes=15)
BATCH = 200

NoticeT = TypeVar("NoticeT", bound=Notice)


def send_each(due: QuerySet[NoticeT], now: datetime, send: Callable[[NoticeT], None]) -> int:
    """Send every unsent notice of `due` by itself; how many went out. One that fails does not stop the rest."""
    sent = 0
    for notice in _free(due, now):
        # Claimed one by one, so that a slow mail server does not outlast the claims.
        if _claim(notice, now):
            sent += _send([notice], now, lambda notices: send(notices[0]))
    return sent


def send_together(due: QuerySet[NoticeT], now: datetime, send: Callable[[Sequence[NoticeT]], None]) -> int:
    """Send the unsent notices of `due` as one mail; how many it carried."""
    claimed = [notice for notice in _free(due, now) if _claim(notice, now)]
    return _send(claimed, now, send) if claimed else 0


def operators() -> list[str]:
    """Where the operators read: DATAFOLD_OPERATORS_EMAIL, else the addresses of admins and managers."""
    if settings.DATAFOLD_OPERATORS_EMAIL:
        return list(settings.DATAFOLD_OPERATORS_EMAIL)
    deciders = Q(is_superuser=True) | Q(groups__name__in=[Role.ADMIN, Role.MANAGER])
    users = User.objects.filter(deciders, is_active=True).exclude(email="")
    return sorted(set(users.values_list("email", flat=True)))


def _free(due: QuerySet[NoticeT], now: datetime) -> list[NoticeT]:
    unclaimed = Q(claimed_at__isnull=True) | Q(claimed_at__lte=now - CLAIM_LIFETIME)
    return list(due.filter(unclaimed, sent_at__isnull=True).order_by("pk")[:BATCH])


def _claim(notice: Notice, now: datetime) -> bool:
    mine = type(notice)._default_manager.filter(
        pk=notice.pk, claimed_at=notice.claimed_at, sent_at__isnull=True
    )
    return bool(mine.update(claimed_at=now))


def _send(notices: list[NoticeT], now: datetime, send: Callable[[Sequence[NoticeT]], None]) -> int:
    rows = type(notices[0])._default_manager.filter(pk__in=[notice.pk for notice in notices], claimed_at=now)
    try:
        send(notices)
    except (OSError, smtplib.SMTPException) as error:
        # Not sent: let the next run try at once.
        rows.update(claimed_at=None)
        log.error("mail not sent: %s", error, extra={"notices": len(notices)})
        return 0
    rows.update(sent_at=now)
    return len(notices)
