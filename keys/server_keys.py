"""The server's own keys: made at need, rotated on request, forgotten when nothing they signed is fresh."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.audit import Actor, record_event
from accounts.jobs import Counts
from keys.httpsig.signing import PrivateKey
from keys.models import ServerKey
from project.encryption import SecretUnreadable, decrypt, encrypt

ALGORITHM = "ed25519"
RESPONSE_LIFETIME = timedelta(minutes=5)
DIRECTORY_LIFETIME = timedelta(hours=24)
PUBLISHED_SECONDS = 1.0  # no longer: who meets a new key's signature looks it up in the directory at once


@dataclass(frozen=True, slots=True)
class ServerSigner:
    """A key of the server, ready to sign."""

    thumbprint: str
    algorithm: str
    jwk: dict[str, str]
    private_key: PrivateKey

    def sign(self, message: bytes) -> bytes:
        return self.private_key.sign(message)


def current_signer() -> ServerSigner:
    """The active key, made if there is none; cached in this process for a few seconds.

    Raises:
        EncryptionKeysMissing, SecretUnreadable
    """
    global _cached
    if _cached is not None and _cached[0] > time.monotonic():
        return _cached[1]
    signer = signer_of(ServerKey.objects.filter(active=True).first() or _create())
    _cached = (time.monotonic() + settings.DATAFOLD_DIRECTORY_TTL_SECONDS, signer)
    return signer


def published() -> list[ServerKey]:
    """The keys of the directory, newest first: the active one and those whose signatures may be fresh.

    Raises:
        EncryptionKeysMissing, SecretUnreadable: there is no active key and none can be made.
    """
    if not ServerKey.objects.filter(active=True).exists():
        _create()
    now = timezone.now()
    active = ServerKey.objects.filter(active=True)
    fresh = ServerKey.objects.filter(active=False, published_until__gt=now, forgotten_at__isnull=True)
    return [*active, *fresh.order_by("-created_at")]


def published_signers() -> list[tuple[ServerKey, ServerSigner]]:
    """As `published`, each with its private half; cached in this process for a moment, for anybody may ask."""
    global _published
    found = _published
    if found is None or found[0] <= time.monotonic():
        signers = [(key, signer_of(key)) for key in published()]
        found = _published = (time.monotonic() + PUBLISHED_SECONDS, signers)
    now = timezone.now()
    return [pair for pair in found[1] if pair[0].published_until is None or pair[0].published_until > now]


def rotate(*, actor: Actor, reason: str = "", compromised: bool = False) -> ServerKey:
    """Make a new active key; the old one stays published as long as what it signed is fresh.

    Args:
        compromised: unpublish and forget the old key at once, and older ones that do not open. What
            they signed no longer verifies against the directory; audit checkpoints keep their public
            key and stay as they are.

    Raises:
        EncryptionKeysMissing
        SecretUnreadable: the old key does not open, so the servers could not open the new one either.
    """
    now = timezone.now()
    with transaction.atomic():
        old = ServerKey.objects.select_for_update().filter(active=True).first()
        if old is not None:
            if not compromised:
                _refuse_foreign_encryption_keys(old)
            _retire(old, now=now, compromised=compromised)
        if compromised:
            _forget_unreadable(now)
        new = _insert(now)
        record_event(
            actor=actor,
            action="server_key.rotated",
            target_kind="server_key",
            target_id=new.thumbprint,
            target_label=str(new),
            before={"thumbprint": old.thumbprint} if old else None,
            after={"thumbprint": new.thumbprint, "compromised": compromised},
            reason=reason,
        )
        transaction.on_commit(clear_cache)
    return new


def forget_retired(now: datetime) -> Counts:
    """Destroy the private half of every key that is not published any more."""
    due = ServerKey.objects.filter(active=False, forgotten_at__isnull=True, published_until__lte=now)
    forgotten = 0
    for key in due:
        forgotten += ServerKey.objects.filter(pk=key.pk, forgotten_at__isnull=True).update(
            secret=_seal(key.thumbprint, None), forgotten_at=now
        )
    if forgotten:
        transaction.on_commit(clear_cache)
    return {"forgotten": forgotten}


def signer_of(key: ServerKey) -> ServerSigner:
    """Open a key that still has its private half. Raises EncryptionKeysMissing, SecretUnreadable."""
    secret = _open(key)
    if secret["pkcs8"] is None:
        raise SecretUnreadable(f"The private half of the server key {key.thumbprint[:8]} has been destroyed.")
    private_key = PrivateKey.from_pkcs8(base64.b64decode(secret["pkcs8"]), key.algorithm)
    if private_key.public_key.thumbprint != key.thumbprint:
        raise _forged(key)
    return ServerSigner(key.thumbprint, key.algorithm, private_key.public_key.jwk(), private_key)


def vouched_for(thumbprint: str) -> bool:
    """Whether this server made the key: its row opens under DATAFOLD_ENCRYPTION_KEYS and names it.

    Raises:
        EncryptionKeysMissing
    """
    key = ServerKey.objects.filter(thumbprint=thumbprint).first()
    if key is None:
        return False
    try:
        _open(key)
    except SecretUnreadable:
        return False
    return True


def clear_cache() -> None:
    """Have this process read the keys anew."""
    global _cached, _published
    _cached = _published = None


# One assignment replaces each, so threads need no lock: at worst two of them read the same keys.
_cached: tuple[float, ServerSigner] | None = None
_published: tuple[float, list[tuple[ServerKey, ServerSigner]]] | None = None


def _create() -> ServerKey:
    """The first key. Two processes may try at once: the constraint lets one through."""
    try:
        with transaction.atomic():
            key = _insert(timezone.now())
            record_event(
                actor=Actor.system("server keys"),
                action="server_key.created",
                target_kind="server_key",
                target_id=key.thumbprint,
                target_label=str(key),
                after={"thumbprint": key.thumbprint, "algorithm": key.algorithm},
            )
    except IntegrityError:
        return ServerKey.objects.get(active=True)
    return key


def _refuse_foreign_encryption_keys(key: ServerKey) -> None:
    try:
        _open(key)
    except SecretUnreadable as error:
        raise SecretUnreadable(
            f"{error} Nothing was rotated: the servers could not open what is encrypted here. If the old encryption "
            "keys are lost, rotate with --compromised, which destroys the old signing key."
        ) from error


def _forget_unreadable(now: datetime) -> None:
    """Keys whose encryption keys are lost: the directory cannot prove that it has them."""
    for key in ServerKey.objects.filter(active=False, forgotten_at__isnull=True):
        if not vouched_for(key.thumbprint):
            ServerKey.objects.filter(pk=key.pk).update(
                secret=_seal(key.thumbprint, None), published_until=now, forgotten_at=now
            )


def _insert(now: datetime) -> ServerKey:
    private_key = PrivateKey.generate(ALGORITHM)
    thumbprint = private_key.public_key.thumbprint
    return ServerKey.objects.create(
        thumbprint=thumbprint,
        algorithm=ALGORITHM,
        jwk=private_key.public_key.jwk(),
        secret=_seal(thumbprint, private_key),
        created_at=now,
    )


def _retire(key: ServerKey, *, now: datetime, compromised: bool) -> None:
    # Other processes go on signing with it until their caches expire.
    margin = timedelta(seconds=settings.DATAFOLD_DIRECTORY_TTL_SECONDS)
    key.active = False
    key.retired_at = now
    key.published_until = now if compromised else now + max(RESPONSE_LIFETIME, DIRECTORY_LIFETIME) + margin
    if compromised:
        key.secret, key.forgotten_at = _seal(key.thumbprint, None), now
    key.save(update_fields=["active", "retired_at", "published_until", "secret", "forgotten_at"])


def _seal(thumbprint: str, private_key: PrivateKey | None) -> str:
    """The thumbprint is inside, so that a secret moved to another row is noticed."""
    pkcs8 = base64.b64encode(private_key.pkcs8()).decode("ascii") if private_key else None
    return encrypt(json.dumps({"thumbprint": thumbprint, "pkcs8": pkcs8}).encode())


def _open(key: ServerKey) -> dict[str, Any]:
    secret: dict[str, Any] = json.loads(decrypt(key.secret))
    if secret["thumbprint"] != key.thumbprint:
        raise _forged(key)
    return secret


def _forged(key: ServerKey) -> SecretUnreadable:
    return SecretUnreadable(
        f"The stored secret of the server key {key.thumbprint[:8]} belongs to another key: somebody changed the row."
    )
