"""Logins in the audit log.

Receivers of signals, against the house's habit: Django, allauth and axes tell of a login by signals
only, and whatever way in is added later tells of itself in the same way. They record and decide nothing.
"""

from __future__ import annotations

from typing import Any

from allauth.account.authentication import get_authentication_records
from allauth.mfa.signals import authenticator_added, authenticator_removed, authenticator_reset
from axes.signals import user_locked_out
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest

from accounts.audit import Actor, record_event
from accounts.authentication.lockout import spelt
from accounts.models import User


@receiver(user_logged_in)
def on_login(sender: Any, request: HttpRequest, user: User, **kwargs: Any) -> None:
    records = get_authentication_records(request, user)
    record_event(
        actor=Actor.operator(user),
        action="operator.logged_in",
        **_target(user),
        after={
            "to": getattr(request, "login_to", "browser session"),
            "by": [record.get("type") or record["method"] for record in records],
        },
    )


@receiver(user_logged_out)
def on_logout(sender: Any, request: HttpRequest, user: User | None, **kwargs: Any) -> None:
    if user is not None:
        record_event(actor=Actor.operator(user), action="operator.logged_out", **_target(user))


@receiver(user_login_failed)
def on_failed_login(
    sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any
) -> None:
    if request is not None and _refused_by_lock(request):
        return  # The lock itself is on record; a line for each attempt would let anybody flood the log.
    record_failed_login(str(credentials.get("username") or ""))


@receiver(user_locked_out)
def on_lockout(sender: Any, request: HttpRequest, username: str, **kwargs: Any) -> None:
    if not _refused_by_lock(request):
        record_lockout(username, reason="too many failed logins from one address")


@receiver(authenticator_added)
def on_factor_added(sender: Any, user: User, authenticator: Any, **kwargs: Any) -> None:
    _record_factor("operator.second_factor_added", user, authenticator)


@receiver(authenticator_removed)
def on_factor_removed(sender: Any, user: User, authenticator: Any, **kwargs: Any) -> None:
    _record_factor("operator.second_factor_removed", user, authenticator)


@receiver(authenticator_reset)
def on_factor_reset(sender: Any, user: User, authenticator: Any, **kwargs: Any) -> None:
    _record_factor("operator.recovery_codes_renewed", user, authenticator)


def record_failed_login(username: str | None, *, reason: str = "") -> None:
    """One failed login; `username` as it was typed in."""
    record_event(
        actor=Actor.anonymous(), action="operator.login_failed", **_named(username or ""), reason=reason
    )


def record_lockout(username: str, *, reason: str) -> None:
    """The beginning of a lock; `username` as it was typed in."""
    record_event(actor=Actor.anonymous(), action="operator.locked_out", **_named(username), reason=reason)


def _refused_by_lock(request: HttpRequest) -> bool:
    """Whether axes refused this attempt unseen; at the attempt that locks it has just counted failures."""
    return bool(getattr(request, "axes_locked_out", False)) and (
        getattr(request, "axes_failures_since_start", None) is None
    )


def _record_factor(action: str, user: User, authenticator: Any) -> None:
    record_event(
        actor=Actor.operator(user), action=action, **_target(user), after={"type": str(authenticator.type)}
    )


def _target(user: User) -> dict[str, Any]:
    return {"target_kind": "operator", "target_id": str(user.pk), "target_label": user.get_username()}


def _named(username: str) -> dict[str, Any]:
    """Only a name that exists is kept: what people type into the wrong field is often a password."""
    user = User.objects.filter(username__iexact=spelt(username)).first() if username else None
    return _target(user) if user else {"target_kind": "operator", "target_label": "unknown"}
