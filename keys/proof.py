"""Proof of possession: a request that a not yet registered key signed itself."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest

from keys.httpsig import (
    PROFILES,
    PublicKey,
    SignatureVerificationFailed,
    UnverifiedSignature,
    check_content_digest,
    check_coverage,
    check_parameters,
    check_signature,
    parse_signatures,
    select_signature,
    signature_base,
)
from keys.wire import wire_request

NEW_KEY_TAG = "datafold-new-key"


@dataclass(frozen=True, slots=True)
class _Candidate:
    public_key: PublicKey


def prove_possession(
    request: HttpRequest, public_key: PublicKey, *, now: float, tag: str = "datafold", required: bool = False
) -> UnverifiedSignature:
    """Check that the signature tagged `tag` was made by `public_key` over this request.

    No nonce is spent: the key is unknown so far and is registered once, ever, so a replay of
    this request is refused as DUPLICATE_PUBLIC_KEY.

    Raises:
        SignatureError: it does not hold.
    """
    message = wire_request(request)
    policy = PROFILES["standard"]
    signature = select_signature(parse_signatures(message, policy.limits), tag, required=required)
    check_parameters(signature, policy, now, message.method)
    check_coverage(signature, message, policy)
    check_content_digest(message)
    try:
        check_signature(
            signature, signature_base(signature, message), [_Candidate(public_key)], policy.algorithms
        )
    except SignatureVerificationFailed as error:
        raise SignatureVerificationFailed(
            "The request is signed, and not by the private key that belongs to the new public key. Sign it with the "
            "new key, or do not sign it.",
            **error.details,
        ) from error
    return signature
