"""A decision on a key by a person: permitted, explained, and bound to what that person saw.

The page (or the REST answer) that shows a key carries `snapshot(key)`; the decision brings it back.
If anything relevant changed in between, the decision is refused and says what changed. The admin,
the operators' REST calls and the commands decide through here; `keys.lifecycle` makes the change.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from django.core import signing
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.audit import Actor, record_event
from accounts.clients import ReasonMissing
from accounts.models import Client
from keys import lifecycle
from keys.errors import KeyNotFound, KeysError
from keys.models import USED_UP, Key, KeyStatus, RevocationReason
from project.errors import DomainError

SALT = "datafold.keys.decisions"


class Verb(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"
    SUSPEND = "suspend"
    REACTIVATE = "reactivate"
    REVOKE = "revoke"
    REQUEST_ROTATION = "request_rotation"
    ROLL_BACK = "roll_back"
    RETIRE = "retire"
    REPORT_COMPROMISE = "report_compromise"


class Rule(NamedTuple):
    """What one kind of decision demands."""

    permission: str
    sources: frozenset[KeyStatus]
    reason_demanded: bool


RULES: dict[Verb, Rule] = {
    Verb.APPROVE: Rule("keys.approve_key", frozenset({KeyStatus.PENDING}), False),
    Verb.REJECT: Rule("keys.reject_key", frozenset({KeyStatus.PENDING}), True),
    Verb.SUSPEND: Rule("keys.suspend_key", frozenset({KeyStatus.ACTIVE}), True),
    Verb.REACTIVATE: Rule("keys.reactivate_key", frozenset({KeyStatus.SUSPENDED}), True),
    Verb.REVOKE: Rule(
        "keys.revoke_key",
        frozenset({KeyStatus.PENDING, KeyStatus.ACTIVE, KeyStatus.SUSPENDED, KeyStatus.RETIRING}),
        False,
    ),
    Verb.REQUEST_ROTATION: Rule("keys.request_rotation", frozenset({KeyStatus.ACTIVE}), False),
    Verb.ROLL_BACK: Rule("keys.request_rotation", frozenset({KeyStatus.RETIRING}), True),
    Verb.RETIRE: Rule("keys.request_rotation", frozenset({KeyStatus.RETIRING}), False),
    Verb.REPORT_COMPROMISE: Rule("keys.revoke_key", USED_UP, True),
}


class DecisionForbidden(KeysError):
    """The operator may not decide this."""

    code = "PERMISSION_DENIED"


class DecisionStale(KeysError):
    """Something relevant changed since the operator looked; `changes` says what."""

    code = "DECISION_STALE"

    def __init__(self, message: str, changes: list[Change], **details: Any) -> None:
        super().__init__(message, changes=[change._asdict() for change in changes], **details)
        self.changes = changes


class Change(NamedTuple):
    """One fact that is different now."""

    fact: str
    seen: Any
    now: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What the operator says with the decision; each verb uses its own part.

    `expires_at`, `scopes`, `profile`: approve (None: the server's default, or as they are).
    `revocation_reason`: revoke. `compromised_since`: revoke, report_compromise. `rotate_by`: request_rotation.
    """

    reason: str = ""
    expires_at: datetime | None = None
    scopes: list[str] | None = None
    profile: str | None = None
    revocation_reason: str = RevocationReason.UNSPECIFIED
    compromised_since: datetime | None = None
    rotate_by: datetime | None = None


def allowed_verbs(key: Key, permitted: Callable[[str], bool]) -> list[Verb]:
    """The decisions that the key's state admits and `permitted` (e.g. `user.has_perm`) grants."""
    return [verb for verb, rule in RULES.items() if key.status in rule.sources and permitted(rule.permission)]


def facts(key: Key) -> dict[str, Any]:
    """What a decision depends on, JSON-able. Needs client, owner, successor and approvals loaded."""
    client = key.client
    successor = key.successor
    return {
        "status": key.status,
        "thumbprint": key.thumbprint,
        "key name": key.name,
        "metadata": key.metadata,
        "expires at": _iso(key.expires_at),
        "rotate by": _iso(key.rotate_by),
        "retires at": _iso(key.retire_at),
        "compromised since": _iso(key.compromised_since),
        "successor": f"{successor.thumbprint[:8]} {successor.status}" if successor else None,
        "approved by": [approval.operator_id for approval in key.approvals.all()],
        "client": client.client_id,
        "client's name": client.name,
        "client's owner": client.owner.get_username() if client.owner else None,
        "client's status": client.status,
        "client's scopes": sorted(client.scopes),
        "client's profile": client.profile,
        "client's networks": client.allowed_networks,
        "client's rate limit": client.rate_limit,
    }


def snapshot(key: Key) -> str:
    """A signed token of `facts(key)`, to be handed back with the decision as `seen`."""
    return signing.dumps({"key": str(key.pk), "facts": facts(key)}, salt=SALT, compress=True)


def changes_since(key: Key, seen: str) -> list[Change]:
    """What is different now from what `seen` recorded; [] if nothing is.

    Raises:
        DecisionStale: the token is not ours or is another key's.
    """
    try:
        token = signing.loads(seen, salt=SALT)
    except signing.BadSignature:
        token = {}
    if token.get("key") != str(key.pk):
        raise DecisionStale(
            f"The page about the key {key.thumbprint[:8]} is not one of ours, or a too old one. Look again and decide.",
            [],
        )
    now = facts(key)
    return [
        Change(fact, token["facts"].get(fact), value)
        for fact, value in now.items()
        if token["facts"].get(fact) != value
    ]


def load(key_ids: list[uuid.UUID], *, lock: bool = False) -> list[Key]:
    """These keys with everything `facts` needs, in the order given; unknown ones are left out."""
    if lock:
        # The rows first, by themselves: an outer join cannot be locked. The key before its client, as every change
        # of a key's state takes them. The client, too, because what is decided on it was seen (`facts`), and an
        # approval writes its scopes; not against those who only refer to it by a foreign key.
        list(Key.objects.select_for_update().filter(pk__in=key_ids).order_by("pk").values_list("pk"))
        clients = Client.objects.filter(pk__in=Key.objects.filter(pk__in=key_ids).values("client"))
        list(clients.select_for_update(no_key=True).order_by("pk").values_list("pk"))
    # Successor and token in queries of their own: where few keys have one, a join over those columns,
    # which are then nearly all null, makes SQLite read the whole table for each key.
    found = (
        Key.objects.filter(pk__in=key_ids)
        .select_related("client__owner", "client__registered_by", "decided_by", "replaces__client")
        .prefetch_related("approvals__operator", "successors", "enrolment_token__issued_by")
        .in_bulk()
    )
    return [found[key_id] for key_id in key_ids if key_id in found]


def decide(
    key_id: uuid.UUID, verb: Verb, *, actor: Actor, seen: str | None, details: Details, thumbprint: str = ""
) -> Key:
    """Carry out one decision; or refuse it, change nothing, and keep on record who tried what.

    Args:
        actor: an operator, held to their role and to the demand for reasons; or the system (whoever may
            run commands here), which no role binds.
        seen: the `snapshot` that the operator's page carried. None: not bound to a page (commands).
        thumbprint: the key that the operator means, where they named it; "" where not.

    Returns:
        The key as it is now. Under four eyes a first approval leaves it pending.

    Raises:
        DecisionForbidden, KeyNotFound, DecisionStale, ReasonMissing, FourEyesRefused, KeyStateConflict,
        django.core.exceptions.ValidationError (terms that are none)
    """
    try:
        return _decide(key_id, verb, actor=actor, seen=seen, details=details, thumbprint=thumbprint)
    except (DomainError, ValidationError, IntegrityError) as refusal:
        # Not inside the decision's transaction: the record would be undone with it.
        code = refusal.code if isinstance(refusal, DomainError) else "VALIDATION_FAILED"
        record_refusal(key_id, verb, actor=actor, code=code)
        raise


def record_refusal(key_id: uuid.UUID, verb: Verb, *, actor: Actor, code: str) -> None:
    """A decision that was refused is on record too. `decide` does it; this is for refusals before that."""
    record_event(
        actor=actor,
        action="key.decision_refused",
        target_kind="key",
        target_id=str(key_id),
        after={"decision": verb.value, "code": code},
    )


def _decide(
    key_id: uuid.UUID, verb: Verb, *, actor: Actor, seen: str | None, details: Details, thumbprint: str
) -> Key:
    rule = RULES[verb]
    if actor.user is not None and not actor.user.has_perm(rule.permission):
        raise DecisionForbidden("Your role does not allow this decision. Ask a manager.")
    with transaction.atomic():
        key = next(iter(load([key_id], lock=True)), None)
        if key is None:
            raise KeyNotFound("There is no such key, or you may not see it.")
        if thumbprint and thumbprint != key.thumbprint:
            raise DecisionStale(
                f"The key here has the thumbprint {key.thumbprint}, not the one that you name. Nothing was done.",
                [],
                registration_id=str(key.pk),
            )
        if seen is not None and (changes := changes_since(key, seen)):
            raise DecisionStale(
                f"The key {key.thumbprint[:8]} of {key.client.client_id} changed while you were looking, so nothing "
                "was done. See what changed and decide again.",
                changes,
                registration_id=str(key.pk),
            )
        if rule.reason_demanded and actor.user is not None and not details.reason.strip():
            raise ReasonMissing("Say why: the reason is kept in the audit log.")
        _refuse_wrong_times(details, timezone.now())
        return _carry_out(key, verb, actor, details)


def _refuse_wrong_times(details: Details, now: datetime) -> None:
    for name in ("expires_at", "rotate_by"):
        moment = getattr(details, name)
        if moment is not None and moment <= now:
            raise ValidationError({name: f"{moment:%Y-%m-%d %H:%M} lies in the past."})
    if details.compromised_since is not None and details.compromised_since > now:
        raise ValidationError(
            {"compromised_since": f"{details.compromised_since:%Y-%m-%d %H:%M} lies in the future."}
        )


def _carry_out(key: Key, verb: Verb, actor: Actor, details: Details) -> Key:
    reason = details.reason.strip()
    match verb:
        case Verb.APPROVE:
            return lifecycle.approve(
                key,
                actor=actor,
                reason=reason,
                expires_at=details.expires_at,
                scopes=details.scopes,
                profile=details.profile,
            )
        case Verb.REJECT:
            return lifecycle.reject(key, actor=actor, reason=reason)
        case Verb.SUSPEND:
            return lifecycle.suspend(key, actor=actor, reason=reason)
        case Verb.REACTIVATE:
            return lifecycle.reactivate(key, actor=actor, reason=reason)
        case Verb.REVOKE:
            return lifecycle.revoke(
                key,
                actor=actor,
                reason=reason,
                revocation_reason=details.revocation_reason,
                compromised_since=details.compromised_since,
            )
        case Verb.REQUEST_ROTATION:
            rotate_by = details.rotate_by or timezone.now() + lifecycle.ROTATION_NOTICE
            return lifecycle.request_rotation(key, actor=actor, rotate_by=rotate_by, reason=reason)
        case Verb.ROLL_BACK:
            return lifecycle.roll_back_retirement(key, actor=actor, reason=reason)
        case Verb.RETIRE:
            return lifecycle.retire(key, actor=actor, reason=reason)
        case Verb.REPORT_COMPROMISE:
            if details.compromised_since is None:
                raise ValidationError(
                    {"compromised_since": "Say since when: what it signed from then on is suspect."}
                )
            return lifecycle.report_compromise(
                key, actor=actor, since=details.compromised_since, reason=reason
            )


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
