"""How often one operator's password and codes may be guessed, from all addresses together.

The lock (`lockout`) counts by address, and whoever has an IPv6 /48 has 65,536 of those. An attempt is counted before
it is judged and given back when it succeeds, so that a volley sent at once gets no more than its count.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from math import ceil

from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from accounts.authentication.errors import LoginLocked
from accounts.authentication.events import record_lockout
from accounts.authentication.lockout import Lock, lift_locks, locks_of, spelt
from accounts.models import AuditEvent, User
from keys.errors import ReplayCheckUnavailable
from keys.rates import count_request, counted, forget_count, give_back, seconds_left
from project.proxies import caller_network, client_address

log = logging.getLogger(__name__)

HOUR = 3600
PASSWORDS_PER_HOUR = 100
# A code has a million values, of which three are good. From one address the lock lets no more than these through.
CODES_PER_HOUR = 20
KNOWN_FOR = timedelta(days=30)
KNOWN_LOGINS = 200
EVERYWHERE = "all addresses"


def claim_password(request: HttpRequest, username: str) -> Callable[[], None]:
    """Count one password tried under this name; call what is returned once it proved right.

    Over the limit only addresses that the operator signed in from lately go on, each under its own lock: else
    a stranger who knows the name could keep the operator out for as long as the stranger likes.

    Raises:
        LoginLocked, ReplayCheckUnavailable
    """
    now, subject = time.time(), _password_subject(username)
    count = count_request(subject, period=HOUR, now=now)
    if count > PASSWORDS_PER_HOUR and not _is_known(request, username):
        raise _locked(username, "passwords", first=count == PASSWORDS_PER_HOUR + 1, now=now)
    return partial(_return, subject, now)


def claim_code(user: User) -> Callable[[], None]:
    """Count one code tried by who has the password already; call what is returned once it proved right.

    Raises:
        LoginLocked, ReplayCheckUnavailable
    """
    now, subject = time.time(), _code_subject(user)
    count = count_request(subject, period=HOUR, now=now)
    if count > CODES_PER_HOUR:
        raise _locked(user.get_username(), "codes", first=count == CODES_PER_HOUR + 1, now=now)
    return partial(_return, subject, now)


def all_locks_of(user: User) -> list[Lock]:
    """Where this operator is locked out now: at single addresses, and everywhere."""
    return [*locks_of(user.get_username()), *_lock_everywhere(user)]


def lift_all_locks(user: User) -> None:
    """Forget every failed attempt on this account.

    Raises:
        ReplayCheckUnavailable
    """
    lift_locks(user.get_username())
    for subject in (_password_subject(user.get_username()), _code_subject(user)):
        forget_count(subject, period=HOUR, now=time.time())


def _lock_everywhere(user: User) -> list[Lock]:
    now = time.time()
    limits = {
        _password_subject(user.get_username()): PASSWORDS_PER_HOUR,
        _code_subject(user): CODES_PER_HOUR,
    }
    try:
        over = any(counted(subject, period=HOUR, now=now) >= limit for subject, limit in limits.items())
    except ReplayCheckUnavailable:
        return []  # nobody signs in meanwhile; the page about the account is still wanted
    return [Lock(EVERYWHERE, datetime.fromtimestamp((now // HOUR + 1) * HOUR, UTC))] if over else []


def _locked(username: str, what: str, *, first: bool, now: float) -> LoginLocked:
    if first:
        record_lockout(username, reason=f"too many wrong {what} from all addresses together")
    seconds = seconds_left(HOUR, now)
    return LoginLocked(
        f"Too many wrong {what} for this operator, from all addresses together. Try again in {ceil(seconds / 60)} "
        "minutes, or ask an admin to lift the lock.",
        retry_after=seconds,
    )


def _return(subject: str, now: float) -> None:
    try:
        give_back(subject, period=HOUR, now=now)
    except ReplayCheckUnavailable:
        log.warning("a right attempt stays counted as a wrong one: the store is unavailable")


def _is_known(request: HttpRequest, username: str) -> bool:
    """Whether the operator of this name signed in from the caller's network lately."""
    user = User.objects.filter(username__iexact=spelt(username)).first()
    if user is None:
        return False
    logins = AuditEvent.objects.filter(
        target_kind="operator",
        target_id=str(user.pk),
        action="operator.logged_in",
        created_at__gt=timezone.now() - KNOWN_FOR,
    )
    network = caller_network(client_address(request))
    addresses = logins.values_list("address", flat=True)[:KNOWN_LOGINS]
    return bool(network) and network in {caller_network(address) for address in addresses}


def _password_subject(username: str) -> str:
    """By a keyed hash: what people type into the wrong field is often a password."""
    name = salted_hmac("datafold.operators.names", spelt(username), algorithm="sha256").hexdigest()
    return f"operator-password:{name}"


def _code_subject(user: User) -> str:
    return f"operator-code:{user.pk}"
