"""The only way a key changes state.

Every function here is one compare-and-swap on the key, one step of its client's epoch and one
audit event, in one transaction. Two people who decide at once: one wins, the other is told.
The workers hear of it through `keys.epochs` (see there for why that is safe).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.audit import Actor, record_event
from accounts.models import Client
from keys import epochs, four_eyes
from keys.errors import KeyStateConflict
from keys.models import TRANSITIONS, USED_UP, Key, KeyStatus, RevocationReason

ROTATION_NOTICE = timedelta(days=14)

WHEN_COMPROMISED: list[Callable[[Key], None]] = []
"""Called inside the transaction that says since when a key was compromised: what it signed is suspect now."""


def approve(
    key: Key,
    *,
    actor: Actor,
    reason: str = "",
    expires_at: datetime | None = None,
    scopes: list[str] | None = None,
    profile: str | None = None,
) -> Key:
    """pending → active. `expires_at` defaults to the server's key lifetime from now.

    Under four eyes the first operator's approval is recorded and the key stays pending; the second
    one's activates it on the same terms (`keys.four_eyes`).
    """
    with transaction.atomic():
        if four_eyes.approvals_needed(key) > 1 and key.status == KeyStatus.PENDING:
            agreed = four_eyes.agreed_terms(key)
            terms = four_eyes.Terms(
                expires_at=expires_at or (agreed.expires_at if agreed else default_expiry()),
                scopes=agreed.scopes if agreed and scopes is None else scopes,
                profile=agreed.profile if agreed and profile is None else profile,
            )
            if not four_eyes.agree(key, actor=actor, terms=terms, reason=reason):
                return key
            expires_at, scopes, profile = terms.expires_at, terms.scopes, terms.profile
        _change_client(key.client, scopes=scopes, profile=profile, actor=actor)
        return _transition(
            key,
            to=KeyStatus.ACTIVE,
            expected={KeyStatus.PENDING},
            action="key.approved",
            actor=actor,
            reason=reason,
            changes={"expires_at": expires_at or default_expiry()},
        )


def reject(key: Key, *, actor: Actor, reason: str) -> Key:
    """pending → rejected. The client sees the reason."""
    return _transition(
        key,
        to=KeyStatus.REJECTED,
        expected={KeyStatus.PENDING},
        action="key.rejected",
        actor=actor,
        reason=reason,
    )


def suspend(key: Key, *, actor: Actor, reason: str) -> Key:
    """active → suspended."""
    return _transition(
        key,
        to=KeyStatus.SUSPENDED,
        expected={KeyStatus.ACTIVE},
        action="key.suspended",
        actor=actor,
        reason=reason,
    )


def reactivate(key: Key, *, actor: Actor, reason: str) -> Key:
    """suspended → active."""
    return _transition(
        key,
        to=KeyStatus.ACTIVE,
        expected={KeyStatus.SUSPENDED},
        action="key.reactivated",
        actor=actor,
        reason=reason,
    )


def revoke(
    key: Key,
    *,
    actor: Actor,
    revocation_reason: str = RevocationReason.UNSPECIFIED,
    reason: str = "",
    compromised_since: datetime | None = None,
) -> Key:
    """Any state that is not final → revoked.

    Args:
        revocation_reason: one of RFC 5280's, see `RevocationReason`.
        reason: in the actor's own words.
        compromised_since: everything the key signed from then on is suspect.
    """
    with transaction.atomic():
        revoked = _transition(
            key,
            to=KeyStatus.REVOKED,
            expected=_sources(KeyStatus.REVOKED),
            action="key.revoked",
            actor=actor,
            reason=reason,
            changes={"revocation_reason": revocation_reason, "compromised_since": compromised_since},
        )
        if compromised_since is not None:
            _tell_of_compromise(revoked)
    return revoked


def report_compromise(key: Key, *, actor: Actor, since: datetime, reason: str = "") -> Key:
    """Say of a key that verifies no more that everything it signed from `since` on is suspect.

    Its state stays as it is. Reporting again moves the moment.

    Raises:
        KeyStateConflict: the key still has a state to lose (revoke it instead), never verified, or somebody else
            reported it meanwhile.
    """
    with transaction.atomic():
        seen = key.compromised_since
        swapped = Key.objects.filter(pk=key.pk, status__in=USED_UP, compromised_since=seen).update(
            compromised_since=since
        )
        if swapped != 1:
            key.refresh_from_db()
            raise KeyStateConflict(
                f"The key {key.thumbprint[:8]} is {key.status} now, or somebody else reported it meanwhile. Only a key "
                "that is retired, expired or revoked is reported as compromised; revoke one that is not. Reload it and "
                "decide again.",
                registration_id=str(key.pk),
                status=key.status,
            )
        record_event(
            actor=actor,
            action="key.compromised",
            target_kind="key",
            target_id=str(key.pk),
            target_label=str(key),
            before=_for_the_record({"compromised_since": seen}),
            after=_for_the_record({"compromised_since": since}),
            reason=reason,
        )
        epochs.advance(key.client)
        key.refresh_from_db()
        _tell_of_compromise(key)
    return key


def start_retirement(key: Key, *, actor: Actor, grace: timedelta, reason: str = "") -> Key:
    """active → retiring, until `grace` is over."""
    return _transition(
        key,
        to=KeyStatus.RETIRING,
        expected={KeyStatus.ACTIVE},
        action="key.retiring",
        actor=actor,
        reason=reason,
        changes={"retire_at": timezone.now() + grace, "rotate_by": None},
    )


def request_rotation(key: Key, *, actor: Actor, rotate_by: datetime, reason: str = "") -> Key:
    """Ask the client of an active key to rotate by then; it is warned on every signed request.

    Asking again moves the date.
    """
    with transaction.atomic():
        seen = key.rotate_by
        swapped = Key.objects.filter(pk=key.pk, status=KeyStatus.ACTIVE, rotate_by=seen).update(
            rotate_by=rotate_by
        )
        if swapped != 1:
            key.refresh_from_db()
            raise KeyStateConflict(
                f"The key {key.thumbprint[:8]} is {key.status} now, or somebody else asked for a rotation meanwhile. "
                "Only an active key can be rotated. Reload it and decide again.",
                registration_id=str(key.pk),
                status=key.status,
            )
        record_event(
            actor=actor,
            action="key.rotation_requested",
            target_kind="key",
            target_id=str(key.pk),
            target_label=str(key),
            before=_for_the_record({"rotate_by": seen}),
            after=_for_the_record({"rotate_by": rotate_by}),
            reason=reason,
        )
        epochs.advance(key.client)
        key.refresh_from_db()
    return key


def roll_back_retirement(key: Key, *, actor: Actor, reason: str = "") -> Key:
    """retiring → active: the successor did not work out. Only until the grace is over."""
    if key.retire_at is not None and key.retire_at <= timezone.now():
        raise KeyStateConflict(
            f"The grace of the key {key.thumbprint[:8]} is over, so it cannot come back. Register a new key.",
            registration_id=str(key.pk),
            status=key.status,
        )
    return _transition(
        key,
        to=KeyStatus.ACTIVE,
        expected={KeyStatus.RETIRING},
        action="key.rolled_back",
        actor=actor,
        reason=reason,
        changes={"retire_at": None},
    )


def retire(key: Key, *, actor: Actor, reason: str = "") -> Key:
    """retiring → retired."""
    return _transition(
        key,
        to=KeyStatus.RETIRED,
        expected={KeyStatus.RETIRING},
        action="key.retired",
        actor=actor,
        reason=reason,
    )


def expire(key: Key, *, actor: Actor) -> Key:
    """Any state that is not final → expired."""
    return _transition(
        key,
        to=KeyStatus.EXPIRED,
        expected=_sources(KeyStatus.EXPIRED),
        action="key.expired",
        actor=actor,
        reason="expires_at has passed",
    )


def default_expiry() -> datetime:
    return timezone.now() + timedelta(days=settings.DATAFOLD_KEY_LIFETIME_DAYS)


def _tell_of_compromise(key: Key) -> None:
    for tell in WHEN_COMPROMISED:
        tell(key)


def _sources(target: KeyStatus) -> set[KeyStatus]:
    return {source for source, targets in TRANSITIONS.items() if target in targets}


def _transition(
    key: Key,
    *,
    to: KeyStatus,
    expected: set[KeyStatus],
    action: str,
    actor: Actor,
    reason: str = "",
    changes: dict[str, Any] | None = None,
) -> Key:
    """Compare-and-swap on the state the caller saw; record it; tell the workers."""
    seen = KeyStatus(key.status)
    with transaction.atomic():
        if seen not in expected:
            raise _conflict(key, to, seen)
        swapped = Key.objects.filter(pk=key.pk, status=seen).update(
            status=to,
            decided_by=actor.user,
            decided_at=timezone.now(),
            decision_reason=reason[:500],
            **(changes or {}),
        )
        if swapped != 1:
            key.refresh_from_db()
            raise _conflict(key, to, KeyStatus(key.status))
        record_event(
            actor=actor,
            action=action,
            target_kind="key",
            target_id=str(key.pk),
            target_label=str(key),
            before={"status": seen.value},
            after={"status": to.value, **_for_the_record(changes)},
            reason=reason,
        )
        epochs.advance(key.client)
        key.refresh_from_db()
    return key


def _conflict(key: Key, to: KeyStatus, current: KeyStatus) -> KeyStateConflict:
    return KeyStateConflict(
        f"The key {key.thumbprint[:8]} is {current.value} now, and a key that is {current.value} cannot become "
        f"{to.value}. Reload it and decide again.",
        registration_id=str(key.pk),
        status=current.value,
    )


def _change_client(client: Client, *, scopes: list[str] | None, profile: str | None, actor: Actor) -> None:
    changes: dict[str, Any] = {}
    if scopes is not None and scopes != client.scopes:
        changes["scopes"] = scopes
    if profile is not None and profile != client.profile:
        changes["profile"] = profile
    if not changes:
        return
    before = {name: getattr(client, name) for name in changes}
    for name, value in changes.items():
        setattr(client, name, value)
    client.full_clean()
    client.save(update_fields=[*changes, "updated_at"])
    record_event(
        actor=actor,
        action="client.changed",
        target_kind="client",
        target_id=client.client_id,
        target_label=client.client_id,
        before=before,
        after=changes,
    )


def _for_the_record(changes: dict[str, Any] | None) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else str(value)
        for name, value in (changes or {}).items()
        if value is not None
    }
