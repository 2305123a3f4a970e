"""What changes about operators: roles, activity, passwords. Each one transaction and one audit event.

Nobody changes their own role or activity, only admins change anybody's, and one active admin remains.
"""

from __future__ import annotations

import secrets
from typing import Any

from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.core import signing
from django.db import transaction
from django.db.models import Q

from accounts.audit import Actor, record_event
from accounts.clients import ReasonMissing
from accounts.models import User
from accounts.roles import Role
from project.errors import DomainError

SALT = "datafold.accounts.operators"


class OperatorForbidden(DomainError):
    """The actor may not manage this operator."""

    code = "PERMISSION_DENIED"


class OwnAccount(DomainError):
    """Nobody decides about their own role or activity."""

    code = "OWN_ACCOUNT"


class LastAdmin(DomainError):
    """Without an active admin nobody could manage operators again."""

    code = "LAST_ADMIN"


class OperatorStateConflict(DomainError):
    """The operator is in that state already, or somebody decided first."""

    code = "OPERATOR_STATE_CONFLICT"


class UsernameTaken(DomainError):
    """Another operator has this name, in whatever case."""

    code = "USERNAME_TAKEN"


def create_operator(
    *,
    actor: Actor,
    username: str,
    role: Role | None = None,
    password: str | None = None,
    email: str = "",
    first_name: str = "",
    last_name: str = "",
) -> tuple[User, str]:
    """Add an operator.

    Args:
        password: None makes a random one.

    Returns:
        The operator and the password, which is kept nowhere else.

    Raises:
        OperatorForbidden, UsernameTaken
        ValidationError: a field or the password is not acceptable.
    """
    refuse_unless_manager(actor, None)
    # Before it is judged: the normal form of what is allowed may not be.
    username = User.normalize_username(username)
    user = User(
        username=username, email=email, first_name=first_name, last_name=last_name, is_staff=role is not None
    )
    if password is None:
        password = secrets.token_urlsafe(15)
    else:
        validate_password(password, user)
    user.set_password(password)
    with transaction.atomic():
        if User.objects.filter(username__iexact=username).exists():
            raise UsernameTaken(
                f"There is an operator {username!r} already. Choose another name.", username=username
            )
        user.full_clean()
        user.save()
        if role is not None:
            user.groups.add(Group.objects.get(name=role))
        record_operator(user, actor=actor, action="operator.created", before=None, after=operator_facts(user))
    return user, password


def change_role(user: User, *, actor: Actor, role: Role | None, reason: str = "") -> User:
    """Give the operator exactly this role, or none. It counts from the next request on.

    A person who gives a role that may do more says why: somebody may have taken it away for a reason.

    Raises:
        OperatorForbidden, OwnAccount, LastAdmin, ReasonMissing
    """
    with transaction.atomic():
        user = lock_operator(user)
        refuse_unless_manager(actor, user)
        if user.roles == ([role] if role else []):
            return user
        if role is not Role.ADMIN:
            _refuse_last_admin(user)
        if actor.user is not None and not reason.strip() and _may_do_more(user, role):
            raise ReasonMissing(
                f"Say why {user.get_username()} gets a role that may do more: the reason is kept in the audit log."
            )
        before = operator_facts(user)
        user.groups.remove(*Group.objects.filter(name__in=list(Role)))
        if role is not None:
            user.groups.add(Group.objects.get(name=role))
        user.is_staff = role is not None
        user.is_superuser = user.is_superuser and role is Role.ADMIN
        user.save(update_fields=["is_staff", "is_superuser"])
        record_operator(
            user,
            actor=actor,
            action="operator.changed",
            before=before,
            after=operator_facts(user),
            reason=reason,
        )
    return user


def deactivate_operator(user: User, *, actor: Actor, reason: str = "") -> User:
    """End the account's access at once, sessions and tokens included. Decisions stay in its name.

    Raises:
        OperatorForbidden, OwnAccount, LastAdmin, OperatorStateConflict
    """
    return _switch(user, active=False, actor=actor, action="operator.deactivated", reason=reason)


def reactivate_operator(user: User, *, actor: Actor, reason: str) -> User:
    """Let the account in again. The reason is demanded: somebody cut it off for one.

    Raises:
        OperatorForbidden, OwnAccount, OperatorStateConflict, ReasonMissing
    """
    if not reason.strip():
        raise ReasonMissing("Say why: the reason is kept in the audit log.")
    return _switch(user, active=True, actor=actor, action="operator.reactivated", reason=reason)


def set_password(user: User, *, actor: Actor, password: str | None = None, reason: str = "") -> str:
    """Set the password, the operator's own or as an admin. It ends every session and token of the account.

    Args:
        password: None makes a random one, which is returned.

    Raises:
        OperatorForbidden
        ValidationError: the password is not acceptable.
    """
    with transaction.atomic():
        locked = lock_operator(user)
        if actor.user is None or actor.user.pk != locked.pk:
            refuse_unless_manager(actor, locked)
        if password is None:
            password = secrets.token_urlsafe(15)
        else:
            validate_password(password, locked)
        user.set_password(password)
        user.save(update_fields=["password"])
        record_operator(
            user, actor=actor, action="operator.password_changed", before=None, after=None, reason=reason
        )
    return password


def operator_facts(user: User) -> dict[str, Any]:
    """What an admin sets on an operator, JSON-able; never the password."""
    return {
        "username": user.get_username(),
        "name": user.get_full_name(),
        "email": user.email,
        "active": user.is_active,
        "roles": sorted(role.value for role in user.roles),
    }


def snapshot(user: User) -> str:
    """A signed token of what an admin sees of the operator, to be handed back with the change as `seen`."""
    return signing.dumps({"operator": user.pk, "facts": operator_facts(user)}, salt=SALT, compress=True)


def refuse_if_changed(user: User, seen: str) -> None:
    """Lock the operator for the caller's transaction, and refuse unless it is as `seen` recorded.

    Raises:
        OperatorStateConflict: names what changed.
    """
    try:
        token = signing.loads(seen, salt=SALT)
    except signing.BadSignature:
        token = {}
    if token.get("operator") != user.pk:
        raise OperatorStateConflict(
            "The page is not one of ours, or a too old one. Load it again.", id=user.pk
        )
    now = operator_facts(lock_operator(user))
    if changed := sorted(name for name, value in now.items() if token["facts"].get(name) != value):
        raise OperatorStateConflict(
            f"The operator {user.get_username()} changed while you were looking ({', '.join(changed)}), so nothing was "
            "done. Look again and decide.",
            id=user.pk,
            changed=changed,
        )


def record_operator(
    user: User,
    *,
    actor: Actor,
    action: str,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    reason: str = "",
) -> None:
    """Append the event with the facts that differ; nothing if none does.

    Args:
        action: operator.created, operator.changed, operator.password_changed, …
        before, after: `operator_facts`; None where there is none.
    """
    if before is not None and after is not None:
        changed = [name for name in after if before.get(name) != after[name]]
        if not changed:
            return
        before = {name: before.get(name) for name in changed}
        after = {name: after[name] for name in changed}
    record_event(
        actor=actor,
        action=action,
        target_kind="operator",
        target_id=str(user.pk),
        target_label=user.get_username(),
        before=before,
        after=after,
        reason=reason,
    )


def may_manage(actor: User, user: User | None = None) -> bool:
    """Only admins manage operators, and only a superuser manages a superuser."""
    if Role.ADMIN not in actor.roles:
        return False
    return user is None or not user.is_superuser or actor.is_superuser


def lock_operator(user: User) -> User:
    """The row as it is now. The admins' group first: who counts the admins must count alone."""
    list(Group.objects.select_for_update().filter(name=Role.ADMIN))
    return User.objects.select_for_update().get(pk=user.pk)


def refuse_unless_manager(actor: Actor, user: User | None) -> None:
    """Raises OperatorForbidden, OwnAccount."""
    if actor.user is None:
        return  # a command or single sign-on: who may start those decides
    if user is not None and actor.user.pk == user.pk:
        raise OwnAccount("Nobody decides about their own account. Ask another admin.")
    if not may_manage(actor.user, user):
        raise OperatorForbidden("Only admins manage operators, and only a superuser manages a superuser.")


def _switch(user: User, *, active: bool, actor: Actor, action: str, reason: str) -> User:
    with transaction.atomic():
        user = lock_operator(user)
        refuse_unless_manager(actor, user)
        if user.is_active == active:
            raise OperatorStateConflict(
                f"The operator {user.get_username()} is {'active' if active else 'inactive'} already. Look again.",
                id=user.pk,
            )
        if not active:
            _refuse_last_admin(user)
        before = operator_facts(user)
        user.is_active = active
        user.save(update_fields=["is_active"])
        record_operator(
            user, actor=actor, action=action, before=before, after=operator_facts(user), reason=reason
        )
    return user


def _may_do_more(user: User, role: Role | None) -> bool:
    """Whether the role is stronger than the one held."""
    if role is None:
        return False
    strength = list(reversed(Role))
    return all(strength.index(role) > strength.index(held) for held in user.roles)


def _refuse_last_admin(user: User) -> None:
    admins = User.objects.filter(Q(is_superuser=True) | Q(groups__name=Role.ADMIN), is_active=True).distinct()
    if admins.filter(pk=user.pk).exists() and not admins.exclude(pk=user.pk).exists():
        raise LastAdmin(
            f"{user.get_username()} is the last active admin: without one nobody could manage operators again. "
            "Make another operator an admin first.",
            id=user.pk,
        )
