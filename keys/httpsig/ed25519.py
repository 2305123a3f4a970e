"""Ed25519 (RFC 8032): which encodings are good public keys, and a fast check of signatures.

libsodium verifies in less than half of OpenSSL's time, and a low-level call spares the copies that the
usual wrapper makes. Both check the cofactorless equation with canonical S; they differ in one point only:
libsodium refuses an R of low order, which the holder of a private key (and nobody else) can make. RFC 8032
allows it, so that case goes to OpenSSL, and the outcome is OpenSSL's for every accepted public key.
"""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from nacl._sodium import ffi, lib  # type: ignore[import-not-found]  # a compiled module without stubs

from .errors import InvalidPublicKey

_P = 2**255 - 19
_D = -121665 * pow(121666, _P - 2, _P) % _P
_SIGN_BIT = 1 << 255

# The y of the points of order eight; those of order one, two and four have y = 1, -1 and 0.
_ORDER_8_Y = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
# Every spelling counts: with either sign bit, and with y + p where that still fits 255 bits.
_LOW_ORDER_Y = (0, 1, _P - 1, _P, _P + 1, _ORDER_8_Y, _P - _ORDER_8_Y)
_LOW_ORDER = frozenset((y | sign).to_bytes(32, "little") for y in _LOW_ORDER_Y for sign in (0, _SIGN_BIT))

_sign_open = lib.crypto_sign_open
_NULL = ffi.NULL


def check_public_key(raw: bytes) -> None:
    """Raises :class:`InvalidPublicKey` unless ``raw`` is the canonical encoding of a point of high order."""
    if len(raw) != 32:
        raise InvalidPublicKey(f"An Ed25519 public key has 32 bytes (64 hex characters), not {len(raw)}.")
    if raw in _LOW_ORDER:
        raise InvalidPublicKey(
            "This Ed25519 public key is a point of low order: anyone could sign for it. Make a new key."
        )
    y = int.from_bytes(raw, "little")
    sign, y = y >> 255, y & (_SIGN_BIT - 1)
    if y >= _P:
        raise InvalidPublicKey("This Ed25519 public key is not canonically encoded (y >= p). Make a new key.")
    if not _on_curve(y, sign):
        raise InvalidPublicKey(
            "This Ed25519 public key is not a point on the curve. Check that it was copied whole."
        )


def _on_curve(y: int, sign: int) -> bool:
    """Whether x² = (y² - 1) / (d·y² + 1) has a root (RFC 8032 section 5.1.3)."""
    x_squared = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    if x_squared == 0:
        return sign == 0
    return pow(x_squared, (_P - 1) // 2, _P) == 1


def verify(raw_public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether ``signature`` is one of ``message``. The key must have passed :func:`check_public_key`."""
    if len(signature) != 64:
        return False
    # The output pointers may be NULL: libsodium then only checks.
    if _sign_open(_NULL, _NULL, signature + message, 64 + len(message), raw_public_key) == 0:
        return True
    return signature[:32] in _LOW_ORDER and _verify_with_openssl(raw_public_key, signature, message)


def _verify_with_openssl(raw_public_key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(raw_public_key).verify(signature, message)
    except InvalidSignature:
        return False
    return True
