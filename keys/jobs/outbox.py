"""Mail that is due, sent once: claim the row, send outside of any transaction, mark it sent.

A worker that dies after its claim leaves the row behind; after CLAIM_LIFETIME the next one sends it.
Should the first have died between sending and marking, the second mail bears the same Message-ID. A
mail that was refused waits as long; those that were not tried yet come first, so no number of dead
addresses holds them up.
"""

from __future__ import annotations

import logging
import smtplib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from django.conf import settings
from django.db.models import F, Q, QuerySet

from accounts.models import User
from accounts.roles import Role
from keys.models.notice import Notice

log = logging.getLogger(__name__)

CLAIM_LIFETIME = timedelta(minutes=15)
BATCH = 200
_CONNECTION_ERRORS = (
    smtplib.SMTPServerDisconnected,
    smtplib.SMTPConnectError,
    smtplib.SMTPHeloError,
    smtplib.SMTPAuthenticationError,
    smtplib.SMTPNotSupportedError,
)

NoticeT = TypeVar("NoticeT", bound=Notice)


def send_each(due: QuerySet[NoticeT], now: datetime, send: Callable[[NoticeT], None]) -> int:
    """Send every unsent notice of `due` by itself; how many went out.

    An address that is refused does not stop the rest. A mail server that is away or hangs does: to wait for
    it once more with each would keep the jobs that come after from running.
    """
    sent = 0
    for notice in _free(due, now):
        # Claimed one by one, so that a slow mail server does not outlast the claims.
        if _claim(notice, now):
            error = _send([notice], now, lambda notices: send(notices[0]))
            sent += error is None
            if error is not None and _server_is_away(error):
                break
    return sent


def send_together(due: QuerySet[NoticeT], now: datetime, send: Callable[[Sequence[NoticeT]], None]) -> int:
    """Send the unsent notices of `due` as one mail; how many it carried."""
    claimed = [notice for notice in _free(due, now) if _claim(notice, now)]
    return len(claimed) if claimed and _send(claimed, now, send) is None else 0


def operators() -> list[str]:
    """Where the operators read: DATAFOLD_OPERATORS_EMAIL, else the addresses of admins and managers."""
    if settings.DATAFOLD_OPERATORS_EMAIL:
        return list(settings.DATAFOLD_OPERATORS_EMAIL)
    deciders = Q(is_superuser=True) | Q(groups__name__in=[Role.ADMIN, Role.MANAGER])
    users = User.objects.filter(deciders, is_active=True).exclude(email="")
    return sorted(set(users.values_list("email", flat=True)))


def _free(due: QuerySet[NoticeT], now: datetime) -> list[NoticeT]:
    unclaimed = Q(claimed_at__isnull=True) | Q(claimed_at__lte=now - CLAIM_LIFETIME)
    untried_first = F("claimed_at").asc(nulls_first=True)
    return list(due.filter(unclaimed, sent_at__isnull=True).order_by(untried_first, "pk")[:BATCH])


def _claim(notice: Notice, now: datetime) -> bool:
    mine = type(notice)._default_manager.filter(
        pk=notice.pk, claimed_at=notice.claimed_at, sent_at__isnull=True
    )
    return bool(mine.update(claimed_at=now))


def _send(notices: list[NoticeT], now: datetime, send: Callable[[Sequence[NoticeT]], None]) -> OSError | None:
    """Send and mark as sent; what came in between, if anything did. SMTPException is an OSError, too."""
    rows = type(notices[0])._default_manager.filter(pk__in=[notice.pk for notice in notices], claimed_at=now)
    try:
        send(notices)
    except OSError as error:
        log.error("mail not sent: %s", error, extra={"notices": len(notices)})
        return error
    rows.update(sent_at=now)
    return None


def _server_is_away(error: OSError) -> bool:
    """Whether the mail server itself failed, so that it would fail for the next mail too."""
    return not isinstance(error, smtplib.SMTPException) or isinstance(error, _CONNECTION_ERRORS)
