"""The record of what changes about operators: roles, activity, passwords."""

from __future__ import annotations

from typing import Any

from accounts.audit import Actor, record_event
from accounts.models import User
from accounts.roles import Role


def operator_facts(user: User) -> dict[str, Any]:
    """What an admin sets on an operator, JSON-able; never the password."""
    return {
        "username": user.get_username(),
        "name": user.get_full_name(),
        "email": user.email,
        "active": user.is_active,
        "roles": sorted(role.value for role in user.roles),
    }


def record_operator(
    user: User, *, actor: Actor, action: str, before: dict[str, Any] | None, after: dict[str, Any] | None
) -> None:
    """Append the event with the facts that differ; nothing if none does.

    Args:
        action: operator.created, operator.changed or operator.password_changed.
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
    )


def may_manage(actor: User, user: User | None = None) -> bool:
    """Only admins manage operators, and only a superuser manages a superuser."""
    if Role.ADMIN not in actor.roles:
        return False
    return user is None or not user.is_superuser or actor.is_superuser
