"""Four eyes: with `DATAFOLD_FOUR_EYES` a key needs two operators who did not ask for it themselves.

The database holds the same rules: an `Approval` once for each operator, none by who owns or ever owned
the client, registered it or issued the enrolment token, and no activation with too few approvals by
others (migrations 0003 and 0007).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils import timezone

from accounts.audit import Actor, record_event
from accounts.models import User
from keys.errors import KeysError
from keys.models import Approval, Key


class FourEyesRefused(KeysError):
    """This operator's approval does not count, or not on these terms."""

    code = "FOUR_EYES_REFUSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is agreed to. None leaves a client's scopes or profile as they are."""

    expires_at: datetime
    scopes: list[str] | None = None
    profile: str | None = None

    def as_json(self) -> dict[str, Any]:
        scopes = None if self.scopes is None else sorted(self.scopes)
        return {"expires_at": self.expires_at.isoformat(), "scopes": scopes, "profile": self.profile}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Terms:
        return cls(
            expires_at=datetime.fromisoformat(value["expires_at"]),
            scopes=value["scopes"],
            profile=value["profile"],
        )


def approvals_needed(key: Key) -> int:
    """2 under four eyes, else 1. What the key was registered under stays when the setting is relaxed."""
    return max(key.approvals_needed or 1, 2 if settings.DATAFOLD_FOUR_EYES else 1)


def agreed_terms(key: Key) -> Terms | None:
    """The terms that the first operator fixed; None before anybody approved."""
    first = next(iter(key.approvals.all()), None)
    return Terms.from_json(first.terms) if first else None


def parties(key: Key) -> dict[str, User | None]:
    """Who stands behind the request, and so may not approve it."""
    token = getattr(key, "enrolment_token", None)
    return {
        "owner": key.client.owner,
        "registrar": key.client.registered_by,
        "inviter": token.issued_by if token else None,
    }


def agree(key: Key, *, actor: Actor, terms: Terms, reason: str = "") -> bool:
    """Record one operator's approval. Call it inside the transaction that holds the key's lock.

    Returns:
        Whether the approvals now suffice to activate the key.

    Raises:
        FourEyesRefused
    """
    if actor.user is None:
        raise FourEyesRefused(
            "This key needs the approval of two operators, each by name. Say who approves (an operator's account)."
        )
    behind = parties(key)
    owners = set(key.client.owners_ever.values_list("pk", flat=True))
    given = list(key.approvals.all())
    _refuse_own(actor.user, behind)
    _refuse_former_owner(actor.user, owners)
    _refuse_again(actor.user, given)
    _refuse_other_terms(terms, given)
    Approval.objects.create(
        key=key,
        operator=actor.user,
        terms=terms.as_json(),
        reason=reason[:500],
        created_at=timezone.now(),
        **behind,
    )
    own = owners | {user.pk for user in behind.values() if user}
    enough = 1 + sum(approval.operator_id not in own for approval in given) >= approvals_needed(key)
    if not enough:
        record_event(
            actor=actor,
            action="key.approval_recorded",
            target_kind="key",
            target_id=str(key.pk),
            target_label=str(key),
            after={"approvals": len(given) + 1, "needed": approvals_needed(key), **terms.as_json()},
            reason=reason,
        )
    return enough


def _refuse_own(user: User, behind: dict[str, User | None]) -> None:
    roles = {
        "owner": "own this client",
        "registrar": "registered this client",
        "inviter": "issued the enrolment token",
    }
    for role, party in behind.items():
        if party is not None and party.pk == user.pk:
            raise FourEyesRefused(
                f"You {roles[role]}, so under four eyes your approval does not count. Ask two other operators.",
                role=role,
            )


def _refuse_former_owner(user: User, owners: set[int]) -> None:
    if user.pk in owners:
        raise FourEyesRefused(
            "You owned this client, so under four eyes your approval does not count. Ask two other operators.",
            role="former owner",
        )


def _refuse_again(user: User, given: list[Approval]) -> None:
    if any(approval.operator_id == user.pk for approval in given):
        raise FourEyesRefused(
            "You approved this key already. Under four eyes another operator must approve it too."
        )


def _refuse_other_terms(terms: Terms, given: list[Approval]) -> None:
    if given and given[0].terms != terms.as_json():
        raise FourEyesRefused(
            "The first operator approved other terms (expiry, scopes or profile). Approve those, or reject the key.",
            agreed=given[0].terms,
        )
