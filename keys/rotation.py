"""Rotation: one request, signed by the old key and by the new one."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.audit import Actor, record_event
from keys import lifecycle
from keys.errors import DuplicatePublicKey, KeyStateConflict
from keys.httpsig import PublicKey
from keys.models import Key, KeyStatus
from project.context import current_context


def rotate(
    old: Key,
    *,
    public_key: PublicKey,
    actor: Actor,
    name: str | None = None,
    grace: timedelta | None = None,
) -> Key:
    """Add `public_key` as the successor of `old`, active at once; `old` retires after `grace`.

    Raises:
        DuplicatePublicKey: the new key is known already.
        KeyStateConflict: the old key is not active, or has a successor that is not final.
    """
    if grace is None:
        grace = timedelta(seconds=settings.DATAFOLD_ROTATION_GRACE_SECONDS)
    if Key.objects.filter(thumbprint=public_key.thumbprint).exists():
        raise _duplicate(public_key)
    try:
        with transaction.atomic():
            new = _add_successor(old, public_key, name=name)
            lifecycle.start_retirement(old, actor=actor, grace=grace, reason=f"rotated to {new.thumbprint}")
            record_event(
                actor=actor,
                action="key.rotated",
                target_kind="key",
                target_id=str(new.pk),
                target_label=str(new),
                before={"thumbprint": old.thumbprint},
                after={"thumbprint": new.thumbprint, "grace_seconds": int(grace.total_seconds())},
            )
    except IntegrityError as error:
        if Key.objects.filter(thumbprint=public_key.thumbprint).exists():
            raise _duplicate(public_key) from error
        raise _has_successor(old) from error
    return new


def _add_successor(old: Key, public_key: PublicKey, *, name: str | None) -> Key:
    now = timezone.now()
    return Key.objects.create(
        client=old.client,
        name=old.name if name is None else name,
        algorithm=public_key.algorithm,
        public_key=public_key.der,
        fingerprint=public_key.fingerprint,
        thumbprint=public_key.thumbprint,
        status=KeyStatus.ACTIVE,
        proven=True,
        replaces=old,
        expires_at=lifecycle.default_expiry(),
        metadata=old.metadata,
        registered_at=now,
        decided_at=now,
        registered_from=current_context().address,
        registered_user_id=old.registered_user_id,
    )


def _has_successor(old: Key) -> KeyStateConflict:
    successor = old.successor
    which = f": {successor.thumbprint[:8]} is {successor.status}" if successor else ""
    return KeyStateConflict(
        f"The key {old.thumbprint[:8]} has a successor already{which}. Sign with the successor. If it is no use, "
        "revoke it (signed by it, or ask an operator) and rotate again.",
        registration_id=str(old.pk),
        status=old.status,
    )


def _duplicate(public_key: PublicKey) -> DuplicatePublicKey:
    return DuplicatePublicKey(
        "The new public key is registered already, and a key is registered once, ever. Generate a new key pair.",
        thumbprint=public_key.thumbprint,
    )
