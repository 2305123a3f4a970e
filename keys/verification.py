"""One signed request from claim to verdict, in the order of DESIGN §5.

Whatever is said about the state of a client or key is said after the signature held: to anyone
else a revoked key looks like a wrong signature.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import NamedTuple

from django.conf import settings
from django.http import HttpRequest

from keys.directory import ClientRecord, KeyRecord, directory
from keys.errors import ClientNotFound, KeysError, RateLimited, ReplayCheckUnavailable
from keys.explanation import explain
from keys.failures import refused_signatures
from keys.httpsig import (
    PROFILES,
    Policy,
    Request,
    SignatureError,
    SignatureVerificationFailed,
    UnverifiedSignature,
    check_content_digest,
    check_coverage,
    check_keyid,
    check_parameters,
    check_signature,
    parse_signatures,
    select_signature,
    signature_base,
)
from keys.memo import SignatureMemo, digest_of
from keys.replay import Outcome, Spent, replay_store
from keys.spending import note_client_quota, refuse_unless_fresh, spend_nonce
from keys.standing import check_standing
from keys.unknown import UnknownKeyids
from keys.wire import wire_request
from project.context import current_context
from project.metrics.hot import PhaseTimer, count_lookup, phase_timer
from project.proxies import client_address

__all__ = ["VerifiedSignature", "check_standing", "find_client", "verify_message", "verify_request"]


# Neither is the signature's fault: the client's own rate, and a store that is away.
_UNCOUNTED = (RateLimited, ReplayCheckUnavailable)


class VerifiedSignature(NamedTuple):
    """A signature that held, with everything a receipt needs."""

    client: ClientRecord
    key: KeyRecord
    signature: UnverifiedSignature
    base: bytes
    message: Request
    policy: Policy
    spent: Spent


def verify_request(request: HttpRequest, *, read_body: bool = True) -> VerifiedSignature:
    """Verify the signature meant for this server and spend its nonce.

    Args:
        read_body: false where the caller streams the body and checks its digest itself.

    Raises:
        SignatureError: the signature does not parse, cover or hold.
        KeysError: it holds, and the client, key, network, nonce or rate forbids the request.
    """
    return verify_message(
        wire_request(request, read_body=read_body),
        address=client_address(request),
        now=time.time(),
        body_known=read_body,
    )


def verify_message(
    message: Request, *, address: str, now: float, body_known: bool = True
) -> VerifiedSignature:
    """As `verify_request`, for a message from wherever it came.

    Args:
        address: the caller's IP address.
        now: Unix seconds.
        body_known: the body is at hand; where it is not, its digest is left to whoever has it.
    """
    timer = phase_timer()
    signature = _parse(message, address=address, now=now)
    keyid = signature.keyid or ""
    refused_signatures().check(address, keyid, now)
    timer.lap("parse")
    client = find_client(signature, message, address=address, now=now)
    timer.lap("lookup")
    claim = _Claim(message, signature, address, now, body_known, timer)
    try:
        holds, spent = _verify(claim, client)
        note_client_quota(spent)
        refuse_unless_fresh(spent)
    except (SignatureError, KeysError) as refusal:
        context = current_context()
        context.log_fields["claimed_client_id"] = client.client_id
        context.profile = client.profile
        if not isinstance(refusal, _UNCOUNTED):
            refused_signatures().count(address, keyid, now)
        if isinstance(refusal, SignatureVerificationFailed):
            explain(refusal, signature, message, client)
        raise
    refused_signatures().note_held(address, keyid, now)
    return VerifiedSignature(holds.client, holds.key, signature, holds.base, message, holds.policy, spent)


def _parse(message: Request, *, address: str, now: float) -> UnverifiedSignature:
    """The signature that is meant for this server. What is none counts against the address like a wrong one."""
    try:
        signature = select_signature(parse_signatures(message, PROFILES["standard"].limits))
        check_keyid(signature)
    except SignatureError:
        refused_signatures().check(address, "", now)
        refused_signatures().count(address, "", now)
        raise
    return signature


def find_client(
    signature: UnverifiedSignature, message: Request, *, address: str, now: float
) -> ClientRecord:
    """The client that the signature's keyid names; not yet proven to be the caller.

    Raises:
        SignatureError: whoever it is, no profile would take this signature.
        ClientNotFound
        RateLimited: the address named too many that do not exist.
    """
    keyid = signature.keyid or ""
    client = directory().recall(keyid)
    count_lookup("directory", client is not None)
    if client is None:
        if not directory().has_met(keyid):
            if refusal := _hopeless(signature, message, now):
                refused_signatures().count(address, keyid, now)
                current_context().log_fields["claimed_client_id"] = keyid[:64]
                raise refusal
            unknown_keyids().check(address, now)
        client = directory().reload(keyid) if keyid else None
    if client is None:
        unknown_keyids().count(address, now)
        current_context().log_fields["claimed_client_id"] = keyid[:64]
        raise _client_not_found(keyid)
    return client


def _hopeless(signature: UnverifiedSignature, message: Request, now: float) -> SignatureError | None:
    """What the standard profile objects to, if all profiles do: no look at the client could help."""
    refusal = _objection(signature, message, PROFILES["standard"], now)
    if refusal is None or not all(_objection(signature, message, each, now) for each in PROFILES.values()):
        return None
    return refusal


def _objection(
    signature: UnverifiedSignature, message: Request, policy: Policy, now: float
) -> SignatureError | None:
    try:
        check_parameters(signature, policy, now, message.method)
        check_coverage(signature, message, policy)
    except SignatureError as refusal:
        return refusal
    return None


class _Claim(NamedTuple):
    """A signed request about to be judged."""

    message: Request
    signature: UnverifiedSignature
    address: str
    now: float
    body_known: bool
    timer: PhaseTimer


class _Holds(NamedTuple):
    """A signature that holds; whether it is a replay is still open."""

    client: ClientRecord
    key: KeyRecord
    base: bytes
    policy: Policy


def _verify(claim: _Claim, client: ClientRecord) -> tuple[_Holds, Spent]:
    """Check and spend; once more with a fresh record if the one at hand is of another epoch."""
    try:
        holds = _check(claim, client)
        spent = _spend(claim, holds, from_database=False)
        if spent.outcome not in (Outcome.STALE, Outcome.UNKNOWN):
            return holds, spent
    except ReplayCheckUnavailable:
        raise
    except (SignatureError, KeysError):
        if not _may_be_lifted(claim) or not _has_changed(client):
            raise
    holds = _check(claim, _reload(claim))
    return holds, _spend(claim, holds, from_database=True)


def _check(claim: _Claim, client: ClientRecord) -> _Holds:
    """Everything but replay: parameters, coverage, digest, signature, standing."""
    message, signature = claim.message, claim.signature
    policy = PROFILES[client.profile]
    check_parameters(signature, policy, claim.now, message.method)
    check_coverage(signature, message, policy)
    if claim.body_known:
        check_content_digest(message)
    claim.timer.lap("rules")
    base = signature_base(signature, message)
    key = _check_cryptography(signature, base, client, policy)
    claim.timer.lap("cryptography")
    check_standing(client, key, address=claim.address, now=claim.now)
    return _Holds(client, key, base, policy)


def _check_cryptography(
    signature: UnverifiedSignature, base: bytes, client: ClientRecord, policy: Policy
) -> KeyRecord:
    memo = signature_memo()
    if memo is None:
        return check_signature(signature, base, client.keys, policy.algorithms)
    digest = digest_of(signature.raw_signature, base)
    thumbprint = memo.recall(digest)
    count_lookup("memo", bool(thumbprint))
    for key in client.keys:
        if key.thumbprint == thumbprint:
            return key
    key = check_signature(signature, base, client.keys, policy.algorithms)
    memo.remember(digest, key.thumbprint)
    return key


def _spend(claim: _Claim, holds: _Holds, *, from_database: bool) -> Spent:
    spent = spend_nonce(
        claim.signature, holds.client, holds.key, holds.policy, from_database=from_database, now=claim.now
    )
    claim.timer.lap("replay")
    return spent


def _may_be_lifted(claim: _Claim) -> bool:
    """Whether a newer record could let the claim in: not what every profile refuses, nor another body."""
    if _hopeless(claim.signature, claim.message, claim.now):
        return False
    try:
        if claim.body_known:
            check_content_digest(claim.message)
    except SignatureError:
        return False
    return True


def _has_changed(client: ClientRecord) -> bool:
    """Whether the record that led to a refusal is out of date: a key approved on another worker, say.

    Asked of the store of epochs, so that a flood of wrong signatures does not reach the database.
    """
    try:
        return not replay_store().is_current(client.client_id, client.epoch)
    except ReplayCheckUnavailable:
        return False


def _reload(claim: _Claim) -> ClientRecord:
    keyid = claim.signature.keyid or ""
    client = directory().reload(keyid)
    if client is None:
        raise _client_not_found(keyid)
    replay_store().recall(client.client_id, client.epoch)
    return client


def _client_not_found(keyid: str) -> ClientNotFound:
    return ClientNotFound(
        f"No client or key answers to keyid {keyid[:80]!r}. Set keyid to the client_id that the "
        "registration returned, or to the key's thumbprint.",
        keyid=keyid[:80],
    )


@lru_cache(maxsize=1)
def unknown_keyids() -> UnknownKeyids:
    """This process's count of keyids that do not exist."""
    return UnknownKeyids()


@lru_cache(maxsize=1)
def _memo(size: int, ttl: int) -> SignatureMemo:
    return SignatureMemo(size=size, ttl=ttl)


def signature_memo() -> SignatureMemo | None:
    """This process's memo of signatures that held; None where the settings switch it off."""
    if not settings.SIGNATURE_CACHE_ENABLED:
        return None
    return _memo(settings.SIGNATURE_CACHE_SIZE, settings.SIGNATURE_CACHE_TTL)
