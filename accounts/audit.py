"""The one way an audit event comes to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from accounts.models import AuditEvent
from project.context import current_context

if TYPE_CHECKING:
    from accounts.models import Client, User

Kind = AuditEvent.ActorKind


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: an operator, a client with the key that signed, the system, or nobody known."""

    kind: str
    id: str = ""
    label: str = ""
    key: str = ""
    user: User | None = None

    @classmethod
    def operator(cls, user: User) -> Actor:
        return cls(Kind.OPERATOR, id=str(user.pk), label=user.get_username(), user=user)

    @classmethod
    def client(cls, client: Client | str, key: str = "") -> Actor:
        client_id = client if isinstance(client, str) else client.client_id
        return cls(Kind.CLIENT, id=client_id, label=client_id, key=key)

    @classmethod
    def system(cls, label: str = "system") -> Actor:
        return cls(Kind.SYSTEM, label=label)

    @classmethod
    def anonymous(cls) -> Actor:
        return cls(Kind.ANONYMOUS, label="anonymous")


def record_event(
    *,
    actor: Actor,
    action: str,
    target_kind: str = "",
    target_id: str = "",
    target_label: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    reason: str = "",
) -> AuditEvent:
    """Append one event, inside the caller's transaction: what happened and its record commit together.

    Args:
        actor: who did it.
        action: verb in the past with its subject, e.g. "key.approved".
        target_kind, target_id, target_label: what it was done to.
        before, after: the changed facts only, JSON-able; never a secret.
        reason: why, as the actor said.
    """
    context = current_context()
    return AuditEvent.objects.create(
        created_at=timezone.now(),
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_label=actor.label[:150],
        actor_key=actor.key,
        action=action,
        target_kind=target_kind,
        target_id=target_id,
        target_label=target_label[:200],
        before=before,
        after=after,
        reason=reason[:500],
        request_id=context.request_id,
        address=context.address,
    )


def record_refused(*, user: User, call: str, code: str) -> AuditEvent:
    """Append what an operator tried and was refused. Outside of the attempt's own transaction, which is undone.

    Args:
        call: what was asked for, e.g. "POST /admin/accounts/user/3/change/".
        code: why it was refused, a code of the API's catalogue.
    """
    return record_event(
        actor=Actor.operator(user),
        action="operator.refused",
        target_kind="operator",
        target_id=str(user.pk),
        target_label=user.get_username(),
        after={"call": call[:200], "code": code},
    )
