"""The first operator: without one nobody can decide anything."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from django.contrib.auth.models import Group
from django.db import transaction

from accounts.audit import Actor, record_event
from accounts.models import User
from accounts.roles import Role


@dataclass(frozen=True, slots=True)
class NewOperator:
    """An account as its first sign-in needs it; the password is kept nowhere else."""

    username: str
    password: str

    def __str__(self) -> str:
        """What to show, once, to whoever starts the server."""
        return (
            "Created the operator account. Its password is shown this once:\n"
            f"  user      {self.username}\n"
            f"  password  {self.password}"
        )


def ensure_operator(*, username: str = "admin") -> NewOperator | None:
    """Create an operator with the role admin and a random password, if there is no operator at all.

    Returns:
        The new account, or None where an operator exists.
    """
    with transaction.atomic():
        if User.objects.exists():
            return None
        password = secrets.token_urlsafe(15)
        user = User.objects.create_superuser(username=username, password=password)
        user.groups.add(Group.objects.get(name=Role.ADMIN))
        record_event(
            actor=Actor.system("bootstrap"),
            action="operator.created",
            target_kind="operator",
            target_id=str(user.pk),
            target_label=username,
            after={"roles": [Role.ADMIN.value]},
            reason="the first operator",
        )
    return NewOperator(username, password)
