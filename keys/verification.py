"""One signed request from claim to verdict, in the order of DESIGN §5.

Whatever is said about the state of a client or key is said after the signature held: to anyone
else a revoked key looks like a wrong signature.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest

from keys.directory import ClientRecord, KeyRecord, directory
from keys.errors import (
    ClientNotFound,
    ClientSuspended,
    KeyExpired,
    KeyNotActive,
    KeyRevoked,
    KeysError,
    NetworkNotAllowed,
    NonceReused,
    RateLimited,
    ReplayCheckUnavailable,
)
from keys.httpsig import (
    PROFILES,
    Policy,
    Request,
    SignatureError,
    UnverifiedSignature,
    check_content_digest,
    check_coverage,
    check_parameters,
    check_signature,
    nonce_expiry,
    parse_signatures,
    select_signature,
    signature_base,
)
from keys.memo import SignatureMemo
from keys.models import KeyStatus
from keys.replay import Outcome, Spend, Spent, replay_store
from keys.wire import wire_request
from project.proxies import client_address


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """A signature that held, with everything a receipt needs."""

    client: ClientRecord
    key: KeyRecord
    signature: UnverifiedSignature
    base: bytes
    message: Request
    policy: Policy
    spent: Spent


def verify_request(request: HttpRequest) -> VerifiedSignature:
    """Verify the signature meant for this server and spend its nonce.

    Raises:
        SignatureError: the signature does not parse, cover or hold.
        KeysError: it holds, and the client, key, network, nonce or rate forbids the request.
    """
    message = wire_request(request)
    signature = select_signature(parse_signatures(message, PROFILES["standard"].limits))
    client = find_client(signature)
    now = time.time()
    address = client_address(request)
    client, verified = _check_with_current_record(message, signature, client, address, now)
    spent = _spend(verified, epoch=client.epoch, now=now)
    if spent.outcome in (Outcome.STALE, Outcome.UNKNOWN):
        client = _reload(signature, forgotten=spent.outcome is Outcome.UNKNOWN, now=now)
        verified = _check(message, signature, client, address, now)
        spent = _spend(verified, epoch=None, now=now)
    _refuse_unless_fresh(spent)
    return VerifiedSignature(client, verified.key, signature, verified.base, message, verified.policy, spent)


def find_client(signature: UnverifiedSignature) -> ClientRecord:
    """The client that the signature's keyid names; not yet proven to be the caller."""
    client = directory().lookup(signature.keyid) if signature.keyid else None
    if client is None:
        raise _client_not_found(signature)
    return client


def _check_with_current_record(
    message: Request, signature: UnverifiedSignature, client: ClientRecord, address: str, now: float
) -> tuple[ClientRecord, _Holds]:
    """`_check`; a refusal by a cached record counts only if that record is current.

    Else a key that was approved or rotated in a moment ago would be refused while caches live.
    """
    try:
        return client, _check(message, signature, client, address, now)
    except (SignatureError, KeysError):
        if replay_store().current_epoch(client.client_id) == client.epoch:
            raise
        client = _reload(signature, forgotten=False, now=now)
        return client, _check(message, signature, client, address, now)


@dataclass(frozen=True, slots=True)
class _Holds:
    client: ClientRecord
    key: KeyRecord
    signature: UnverifiedSignature
    base: bytes
    policy: Policy


def _check(
    message: Request, signature: UnverifiedSignature, client: ClientRecord, address: str, now: float
) -> _Holds:
    """Everything but replay: parameters, coverage, digest, signature, standing."""
    policy = PROFILES[client.profile]
    check_parameters(signature, policy, now, message.method)
    check_coverage(signature, message, policy)
    check_content_digest(message)
    base = signature_base(signature, message)
    key = _check_cryptography(signature, base, client, policy)
    check_standing(client, key, address=address, now=now)
    return _Holds(client, key, signature, base, policy)


def _check_cryptography(
    signature: UnverifiedSignature, base: bytes, client: ClientRecord, policy: Policy
) -> KeyRecord:
    memo = signature_memo()
    if memo is None:
        return check_signature(signature, base, client.keys, policy.algorithms)
    thumbprint = memo.recall(signature.raw_signature, base)
    for key in client.keys:
        if key.thumbprint == thumbprint:
            return key
    key = check_signature(signature, base, client.keys, policy.algorithms)
    memo.remember(signature.raw_signature, base, key.thumbprint)
    return key


def check_standing(
    client: ClientRecord, key: KeyRecord, *, address: str, now: float, networks: bool = True
) -> None:
    """Whether this client and key may be used, from here and now. Only after the signature held."""
    _check_status(key)
    moment = datetime.fromtimestamp(now, UTC)
    if key.not_before and moment < key.not_before:
        raise KeyNotActive(
            f"The key {key.thumbprint[:8]} counts from {key.not_before:%Y-%m-%dT%H:%M:%SZ} on. Wait until then.",
            status=key.status.value,
        )
    if key.expires_at and moment >= key.expires_at:
        raise _key_expired(key)
    if key.retire_at and moment >= key.retire_at:
        raise KeyNotActive(
            f"The key {key.thumbprint[:8]} was rotated and its grace is over. Sign with its successor.",
            status=KeyStatus.RETIRED.value,
        )
    if not client.active:
        raise ClientSuspended(
            f"The client {client.client_id} is suspended. Ask the operators of this server"
            + (f"; they say: {client.status_reason}" if client.status_reason else "."),
            client_id=client.client_id,
        )
    if networks and not client.allows_address(address):
        raise NetworkNotAllowed(
            f"The client {client.client_id} may not sign from {address}. Send the request from one of its networks, "
            "or ask an operator to add this one.",
            address=address,
        )


def _check_status(key: KeyRecord) -> None:
    if key.verifies:
        return
    if key.status is KeyStatus.REVOKED:
        raise KeyRevoked(
            f"The key {key.thumbprint[:8]} was revoked ({key.revocation_reason}). It never counts again: register a "
            "new key, with an enrolment token from an operator.",
            revocation_reason=key.revocation_reason,
        )
    if key.status is KeyStatus.EXPIRED:
        raise _key_expired(key)
    why = {
        KeyStatus.PENDING: "waits for an operator's approval. Try again when it is approved.",
        KeyStatus.SUSPENDED: "is suspended. Ask the operators of this server.",
        KeyStatus.REJECTED: f"was rejected: {key.decision_reason or 'no reason given'}. Register another key.",
        KeyStatus.RETIRED: "was rotated and is retired. Sign with its successor.",
    }[key.status]
    raise KeyNotActive(f"The key {key.thumbprint[:8]} {why}", status=key.status.value)


def _key_expired(key: KeyRecord) -> KeyExpired:
    since = f" on {key.expires_at:%Y-%m-%d}" if key.expires_at else ""
    return KeyExpired(
        f"The key {key.thumbprint[:8]} expired{since}. Register a new key; next time rotate before the end.",
        expires_at=key.expires_at.isoformat() if key.expires_at else None,
    )


def _spend(holds: _Holds, *, epoch: int | None, now: float) -> Spent:
    rate_limit = holds.client.rate_limit
    return replay_store().spend(
        Spend(
            client_id=holds.client.client_id,
            epoch=epoch,
            key_id=holds.key.id,
            nonce=holds.signature.nonce or "",
            created=holds.signature.created or 0,
            clock_skew=holds.policy.clock_skew_s,
            remember_until=nonce_expiry(holds.signature, holds.policy),
            rate_limit=settings.DATAFOLD_RATE_LIMIT_PER_MINUTE if rate_limit is None else rate_limit,
            now=now,
        )
    )


def _reload(signature: UnverifiedSignature, *, forgotten: bool, now: float) -> ClientRecord:
    client = directory().reload(signature.keyid or "")
    if client is None:
        raise _client_not_found(signature)
    if forgotten:
        replay_store().recall(client.client_id, client.epoch, now)
    return client


def _refuse_unless_fresh(spent: Spent) -> None:
    if spent.outcome is Outcome.FRESH:
        return
    if spent.outcome is Outcome.REPLAYED:
        raise NonceReused(
            "This nonce was used before, so this looks like a replay and nothing was done. A retry must be signed "
            "again with a new nonce."
        )
    if spent.outcome is Outcome.RATE_LIMITED:
        raise RateLimited(
            f"The client is over its limit of {spent.limit} requests per minute. Try again in {spent.reset} s.",
            retry_after=spent.reset,
            limit=spent.limit,
        )
    raise ReplayCheckUnavailable(
        "The server's memory of used nonces begins after this request was signed, so a replay cannot be ruled out. "
        "Sign the request again and send it after the seconds that Retry-After gives.",
        retry_after=5,
    )


def _client_not_found(signature: UnverifiedSignature) -> ClientNotFound:
    return ClientNotFound(
        f"No client or key answers to keyid {(signature.keyid or '')[:80]!r}. Set keyid to the client_id that the "
        "registration returned, or to the key's thumbprint.",
        keyid=(signature.keyid or "")[:80],
    )


@lru_cache(maxsize=1)
def _memo(size: int, ttl: int) -> SignatureMemo:
    return SignatureMemo(size=size, ttl=ttl)


def signature_memo() -> SignatureMemo | None:
    """This process's memo of signatures that held; None where the settings switch it off."""
    if not settings.SIGNATURE_CACHE_ENABLED:
        return None
    return _memo(settings.SIGNATURE_CACHE_SIZE, settings.SIGNATURE_CACHE_TTL)
