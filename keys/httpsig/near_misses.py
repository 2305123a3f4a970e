"""Signatures that are right but for their form: hexadecimal, DER, another padding or hash."""

import binascii
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from .keys import EcdsaKey, PublicKey, RsaKey


@dataclass(frozen=True, slots=True)
class Cause:
    """A stable ``code`` for tools and a ``message`` for people: what differs, and what to do."""

    code: str
    message: str


def find_near_miss(key: PublicKey, signature: bytes, base: bytes) -> Cause | None:
    """How ``signature`` differs in form from one of ``base`` by ``key``; None if that is not what is wrong.

    Args:
        signature: as it was sent, decoded from base64.
    """
    for raw in _unhexed(signature):
        if key.verify(raw, base):
            return Cause(
                "HEX_SIGNATURE",
                "You sent the signature in hexadecimal. Send its raw bytes in base64 between colons.",
            )
    match key:
        case EcdsaKey():
            return _ecdsa(key, signature, base)
        case RsaKey():
            return _rsa(key, signature, base)
        case _:
            return None


def wrong_length(keys: Sequence[PublicKey], signature: bytes) -> Cause:
    """What to say of a ``signature`` that has the length of none of ``keys``."""
    lengths = dict.fromkeys(f"{key.signature_bytes} ({key.algorithm})" for key in keys)
    return Cause(
        "SIGNATURE_LENGTH",
        f"The signature has {len(signature)} bytes, one by a registered key has {' or '.join(lengths)}. "
        "Send its raw bytes in base64, and sign with the key that is registered.",
    )


def _unhexed(signature: bytes) -> Iterator[bytes]:
    """What was meant where hexadecimal digits were sent, in base64 or in its place."""
    for digits in (signature, binascii.b2a_base64(signature, newline=False)):
        try:
            yield bytes.fromhex(digits.decode("ascii"))
        except ValueError:
            continue


def _ecdsa(key: EcdsaKey, signature: bytes, base: bytes) -> Cause | None:
    loaded = serialization.load_der_public_key(key.der)
    if not isinstance(loaded, ec.EllipticCurvePublicKey):
        return None
    try:
        loaded.verify(signature, base, ec.ECDSA(key.hash_algorithm()))
    except InvalidSignature:
        return None
    return Cause(
        "DER_SIGNATURE",
        f"You sent the signature in DER. RFC 9421 wants r and s as {key.size} bytes each, one after the other.",
    )


def _rsa(key: RsaKey, signature: bytes, base: bytes) -> Cause | None:
    loaded = serialization.load_der_public_key(key.der)
    if not isinstance(loaded, rsa.RSAPublicKey):
        return None
    for name, scheme, hash_algorithm in _RSA_SCHEMES:
        try:
            loaded.verify(signature, base, scheme, hash_algorithm)
        except (InvalidSignature, ValueError):
            continue
        return Cause(
            "OTHER_PADDING",
            f"You signed with {name}, the key is registered for {key.algorithm}. Sign as that says (see RFC 9421 "
            "section 3.3), or register a key with the algorithm that you use.",
        )
    return None


_RSA_SCHEMES: tuple[tuple[str, padding.AsymmetricPadding, hashes.HashAlgorithm], ...] = (
    ("PKCS #1 v1.5 and SHA-256", padding.PKCS1v15(), hashes.SHA256()),
    ("PKCS #1 v1.5 and SHA-512", padding.PKCS1v15(), hashes.SHA512()),
    (
        "PSS and SHA-512 with a salt of another length than 64 bytes",
        padding.PSS(padding.MGF1(hashes.SHA512()), padding.PSS.AUTO),
        hashes.SHA512(),
    ),
    ("PSS and SHA-256", padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO), hashes.SHA256()),
)
