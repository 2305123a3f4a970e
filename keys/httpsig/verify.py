"""From a parsed signature to a verified one (RFC 9421 section 3.2)."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from .base import line_digests, signature_base
from .checks import check_authority, check_coverage, check_parameters, nonce_expiry
from .components import STRUCTURED_FIELDS
from .digest import check_content_digest
from .errors import (
    AlgorithmMismatch,
    AlgorithmNotAllowed,
    KeyNotFound,
    SignatureVerificationFailed,
)
from .keys import PublicKey
from .message import Request
from .policy import Policy
from .signatures import UnverifiedSignature, parse_signatures, select_signature


class HasPublicKey(Protocol):
    """Whatever the caller keeps about a key."""

    @property
    def public_key(self) -> PublicKey: ...


K = TypeVar("K", bound=HasPublicKey)


class Verified(NamedTuple, Generic[K]):
    """A signature that holds, the key that proves it, the exact bytes that were signed,
    and until when (seconds since the epoch) its nonce must be remembered."""

    signature: UnverifiedSignature
    key: K
    base: bytes
    nonce_expires_at: float


def verify(
    request: Request,
    *,
    policy: Policy,
    keys_for: Callable[[str], Sequence[K]],
    now: float,
    tag: str | None = None,
    structured_fields: Mapping[str, str] = STRUCTURED_FIELDS,
) -> Verified[K]:
    """The whole chain for one request; everything but replay, which is the caller's to check afterwards.

    keys_for: the keys that may answer for a ``keyid``, best first.
    now: seconds since the epoch.
    Raises a :class:`SignatureError`.
    """
    signatures = parse_signatures(request, policy.limits)
    signature = select_signature(signatures, policy.tag if tag is None else tag, required=policy.tag_required)
    check_authority(request, policy)
    check_parameters(signature, policy, now, request.method)
    check_coverage(signature, request, policy)
    keys = keys_for(signature.keyid or "")
    if not keys:
        raise KeyNotFound("No key answers to this keyid. Register the key first, or check its spelling.")
    check_content_digest(request)
    base = signature_base(signature, request, structured_fields)
    key = check_signature(signature, base, keys, policy.algorithms)
    return Verified(signature, key, base, nonce_expiry(signature, policy))


def check_signature(
    signature: UnverifiedSignature,
    base: bytes,
    keys: Sequence[K],
    algorithms: frozenset[str] | None = None,
) -> K:
    """The first of ``keys`` under which the signature holds; ``algorithms`` limits them where given.

    Raises :class:`AlgorithmMismatch` or :class:`AlgorithmNotAllowed` if no key fits,
    :class:`SignatureVerificationFailed` if none verifies.
    """
    raw_signature = signature.raw_signature
    tried = False
    for key in keys:
        public_key = key.public_key
        if signature.alg is not None and signature.alg != public_key.algorithm:
            continue
        if algorithms is not None and public_key.algorithm not in algorithms:
            continue
        tried = True
        if public_key.verify(raw_signature, base):
            return key
    if not tried:
        raise _no_fitting_key(signature, keys)
    raise SignatureVerificationFailed(
        "The signature does not fit what arrived. Compare the SHA-256 of each line with those of your own "
        "signature base: the line that differs is the cause. If all are equal, the key differs.",
        lines=line_digests(base),
        base_sha256=hashlib.sha256(base).hexdigest(),
    )


def _no_fitting_key(
    signature: UnverifiedSignature, keys: Sequence[K]
) -> AlgorithmMismatch | AlgorithmNotAllowed:
    found = sorted({key.public_key.algorithm for key in keys})
    if signature.alg is not None and signature.alg not in found:
        return AlgorithmMismatch(
            f'The signature says alg="{signature.alg}", the key is {" or ".join(found)}. '
            "Sign with the key's algorithm, or leave alg out.",
            algorithm=signature.alg,
            key_algorithms=found,
        )
    return AlgorithmNotAllowed("This server does not take the algorithm of the key.", key_algorithms=found)
