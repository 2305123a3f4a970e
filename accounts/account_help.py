"""What an admin does for an operator who cannot sign in: a lost second factor, a lock, single sign-on that is down.

Each is one transaction and one audit event, and demands a reason. Nobody does it for their own account.
"""

from __future__ import annotations

from datetime import datetime

from allauth.mfa.models import Authenticator
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce

from accounts.audit import Actor
from accounts.authentication import guesses
from accounts.clients import ReasonMissing
from accounts.models import User
from accounts.operators import OperatorStateConflict, lock_operator, record_operator, refuse_unless_manager


def reset_second_factor(user: User, *, actor: Actor, reason: str) -> list[str]:
    """Take the authenticator app, passkeys and recovery codes away from an operator who lost them, or a thief.

    Every session and token of the account ends. The next sign-in takes the password alone, and where a second
    factor is demanded leads to setting one up.

    Returns:
        The kinds that were taken away, e.g. ["recovery_codes", "totp"]; [] where there was none.

    Raises:
        OperatorForbidden, OwnAccount, ReasonMissing
    """
    if not reason.strip():
        raise ReasonMissing("Say why, and how you know who asked: the reason is kept in the audit log.")
    with transaction.atomic():
        locked = lock_operator(user)
        refuse_unless_manager(actor, locked)
        factors = Authenticator.objects.filter(user_id=locked.pk)
        kinds = sorted(set(factors.values_list("type", flat=True)))
        factors.delete()
        _end_sessions(locked)
        record_operator(
            locked,
            actor=actor,
            action="operator.second_factor_reset",
            before={"second_factor": kinds},
            after=None,
            reason=reason,
        )
    return kinds


def unlock_operator(user: User, *, actor: Actor, reason: str) -> list[str]:
    """Let an operator try again who is locked out after too many failed logins.

    Returns:
        The addresses that were locked.

    Raises:
        OperatorForbidden, OwnAccount, ReasonMissing
        OperatorStateConflict: nothing is locked.
        ReplayCheckUnavailable: the store of the counts is away.
    """
    refuse_unless_manager(actor, user)
    if not reason.strip():
        raise ReasonMissing("Say why: the reason is kept in the audit log.")
    with transaction.atomic():
        lock_operator(user)
        addresses = sorted(lock.address for lock in guesses.all_locks_of(user))
        if not addresses:
            raise OperatorStateConflict(f"{user.get_username()} is not locked out. Look again.", id=user.pk)
        guesses.lift_all_locks(user)
        record_operator(
            user,
            actor=actor,
            action="operator.unlocked",
            before={"locked_out_at": addresses},
            after=None,
            reason=reason,
        )
    return addresses


def allow_password_login(user: User, *, actor: Actor, until: datetime, reason: str) -> User:
    """Break-glass: let the account's password count until then although single sign-on is demanded.

    Raises:
        OperatorForbidden, OwnAccount, ReasonMissing
        OperatorStateConflict: it is inactive, or has no password.
    """
    if not reason.strip():
        raise ReasonMissing("Say why: the reason is kept in the audit log.")
    with transaction.atomic():
        locked = lock_operator(user)
        refuse_unless_manager(actor, locked)
        if not locked.is_active or not locked.has_usable_password():
            what = "has no password" if locked.is_active else "is inactive"
            raise OperatorStateConflict(
                f"{locked.get_username()} {what}: open another account, or set one first (manage.py changepassword).",
                id=locked.pk,
            )
        locked.password_login_until = until
        locked.save(update_fields=["password_login_until"])
        record_operator(
            locked,
            actor=actor,
            action="operator.password_login_allowed",
            before=None,
            after={"until": until.isoformat()},
            reason=reason,
        )
    return locked


def _end_sessions(user: User) -> None:
    """Every session and token of the account; it is a count, so none comes back with an older password."""
    User.objects.filter(pk=user.pk).update(session_epoch=Coalesce(F("session_epoch"), 0) + 1)
