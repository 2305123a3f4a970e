"""Public keys: loading what clients send, refusing what is unsafe, and checking signatures with them."""

import base64
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, cast

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from . import ed25519
from .errors import InvalidPublicKey

_MAX_TEXT = 16_384
_MIN_RSA_BITS, _MAX_RSA_BITS = 2048, 4096
_PRIVATE_JWK_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

AnyPublicKey = Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey


class PublicKey(ABC):
    """One public key with the one signature algorithm (RFC 9421 section 3.3) that it is used with."""

    algorithm: ClassVar[str]
    signature_bytes: int  # the length of each of its signatures

    def __init__(self, key: AnyPublicKey) -> None:
        self.der = key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @classmethod
    def from_der(cls, der: bytes, algorithm: str) -> "PublicKey":
        """A key from the SubjectPublicKeyInfo that ``der`` gave. Raises :class:`InvalidPublicKey`."""
        try:
            key = serialization.load_der_public_key(der)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise InvalidPublicKey("The stored public key is not a SubjectPublicKeyInfo structure.") from None
        return _public_key(key, algorithm)

    @abstractmethod
    def verify(self, signature: bytes, base: bytes) -> bool:
        """Whether ``signature`` is one of ``base``: exact length, exact algorithm, nothing raised."""

    @abstractmethod
    def jwk(self) -> dict[str, str]:
        """The public members of the JSON Web Key (RFC 7517), without ``kid``, ``use`` or ``alg``."""

    def pem(self) -> str:
        """The key as PEM (SubjectPublicKeyInfo)."""
        body = base64.encodebytes(self.der).decode("ascii").replace("\n", "")
        lines = "\n".join(body[start : start + 64] for start in range(0, len(body), 64))
        return f"-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n"

    @cached_property
    def thumbprint(self) -> str:
        """The RFC 7638 thumbprint: base64url SHA-256 over the required members."""
        canonical = json.dumps(self.jwk(), sort_keys=True, separators=(",", ":")).encode("utf-8")
        return _base64url(hashlib.sha256(canonical).digest())

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the SubjectPublicKeyInfo, in hex."""
        return hashlib.sha256(self.der).hexdigest()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PublicKey):
            return NotImplemented
        return self.der == other.der and self.algorithm == other.algorithm

    def __hash__(self) -> int:
        return hash((self.der, self.algorithm))

    def __repr__(self) -> str:
        return f"<PublicKey {self.algorithm} {self.thumbprint}>"


class Ed25519Key(PublicKey):
    algorithm = "ed25519"
    signature_bytes = 64

    def __init__(self, key: Ed25519PublicKey) -> None:
        super().__init__(key)
        self.raw = key.public_bytes_raw()
        ed25519.check_public_key(self.raw)

    def verify(self, signature: bytes, base: bytes) -> bool:
        return ed25519.verify(self.raw, signature, base)

    def jwk(self) -> dict[str, str]:
        return {"kty": "OKP", "crv": "Ed25519", "x": _base64url(self.raw)}


class EcdsaKey(PublicKey):
    """ECDSA with the raw ``r || s`` of RFC 9421 sections 3.3.4 and 3.3.5."""

    curve: ClassVar[str]
    size: ClassVar[int]
    hash_algorithm: ClassVar[type[hashes.HashAlgorithm]]

    def __init__(self, key: ec.EllipticCurvePublicKey) -> None:
        super().__init__(key)
        self._key = key
        self.signature_bytes = 2 * self.size

    def verify(self, signature: bytes, base: bytes) -> bool:
        if len(signature) != self.signature_bytes:
            return False
        r = int.from_bytes(signature[: self.size], "big")
        s = int.from_bytes(signature[self.size :], "big")
        try:
            self._key.verify(encode_dss_signature(r, s), base, ec.ECDSA(self.hash_algorithm()))
        except InvalidSignature:
            return False
        return True

    def jwk(self) -> dict[str, str]:
        numbers = self._key.public_numbers()
        x, y = (_base64url(number.to_bytes(self.size, "big")) for number in (numbers.x, numbers.y))
        return {"kty": "EC", "crv": self.curve, "x": x, "y": y}


class P256Key(EcdsaKey):
    algorithm = "ecdsa-p256-sha256"
    curve, size, hash_algorithm = "P-256", 32, hashes.SHA256


class P384Key(EcdsaKey):
    algorithm = "ecdsa-p384-sha384"
    curve, size, hash_algorithm = "P-384", 48, hashes.SHA384


class RsaKey(PublicKey):
    hash_algorithm: ClassVar[type[hashes.HashAlgorithm]]

    def __init__(self, key: rsa.RSAPublicKey) -> None:
        super().__init__(key)
        _check_rsa(key)
        self._key = key
        self.signature_bytes = (key.key_size + 7) // 8

    @abstractmethod
    def _padding(self) -> padding.AsymmetricPadding: ...

    def verify(self, signature: bytes, base: bytes) -> bool:
        if len(signature) != self.signature_bytes:
            return False
        try:
            self._key.verify(signature, base, self._padding(), self.hash_algorithm())
        except InvalidSignature:
            return False
        return True

    def jwk(self) -> dict[str, str]:
        numbers = self._key.public_numbers()
        return {"kty": "RSA", "n": _base64url_number(numbers.n), "e": _base64url_number(numbers.e)}


class RsaPssKey(RsaKey):
    """RSASSA-PSS with SHA-512, MGF1 with SHA-512 and a salt of 64 bytes (section 3.3.1)."""

    algorithm = "rsa-pss-sha512"
    hash_algorithm = hashes.SHA512

    def _padding(self) -> padding.AsymmetricPadding:
        return padding.PSS(mgf=padding.MGF1(hashes.SHA512()), salt_length=64)


class RsaPkcs1Key(RsaKey):
    """RSASSA-PKCS1-v1_5 with SHA-256 (section 3.3.2)."""

    algorithm = "rsa-v1_5-sha256"
    hash_algorithm = hashes.SHA256

    def _padding(self) -> padding.AsymmetricPadding:
        return padding.PKCS1v15()


def load_public_key(value: str | Mapping[str, Any], algorithm: str | None = None) -> PublicKey:
    """A public key in any of the forms that clients send.

    value: 64 hex characters (raw Ed25519), PEM (SubjectPublicKeyInfo or PKCS#1), or a JWK as mapping or JSON.
    algorithm: must fit the key; for an RSA key it chooses, with ``rsa-pss-sha512`` as default.
    Raises :class:`InvalidPublicKey`, which never repeats what was sent: it might be a private key.
    """
    if isinstance(value, Mapping):
        return _public_key(_from_jwk(value), algorithm or _jwk_algorithm(value))
    if not isinstance(value, str):
        raise InvalidPublicKey("A public key is a string (hex or PEM) or a JSON Web Key object.")
    if len(value) > _MAX_TEXT:
        raise InvalidPublicKey(f"The public key is longer than {_MAX_TEXT} characters.")
    text = value.strip()
    if text.startswith("{"):
        return load_public_key(_json_object(text), algorithm)
    if text.startswith("-----BEGIN"):
        return _public_key(_from_pem(text), algorithm)
    return _public_key(_from_hex(text), algorithm)


def _public_key(key: object, algorithm: str | None) -> PublicKey:
    match key:
        case Ed25519PublicKey():
            choices: dict[str, type[PublicKey]] = {"ed25519": Ed25519Key}
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1()):
            choices = {"ecdsa-p256-sha256": P256Key}
        case ec.EllipticCurvePublicKey(curve=ec.SECP384R1()):
            choices = {"ecdsa-p384-sha384": P384Key}
        case ec.EllipticCurvePublicKey():
            raise InvalidPublicKey(
                f"The curve {key.curve.name} is not supported. Use P-256, P-384 or Ed25519."
            )
        case rsa.RSAPublicKey():
            choices = {"rsa-pss-sha512": RsaPssKey, "rsa-v1_5-sha256": RsaPkcs1Key}
        case _:
            raise InvalidPublicKey("This kind of key is not supported. Use Ed25519, P-256, P-384 or RSA.")
    chosen = algorithm or next(iter(choices))
    if chosen not in choices:
        raise InvalidPublicKey(
            f"The key does not fit the algorithm that was named. It can be used with {' or '.join(choices)}.",
            supported=sorted(choices),
        )
    return choices[chosen](key)


def _from_hex(text: str) -> Ed25519PublicKey:
    if len(text) == 128:
        raise InvalidPublicKey("That is 64 bytes: a private key, or two keys. Send the 32 public bytes only.")
    if len(text) != 64:
        raise InvalidPublicKey(
            "A public key is 64 hex characters (Ed25519), PEM or a JSON Web Key; "
            f"this text has {len(text)} characters and is none of them."
        )
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raise InvalidPublicKey("The public key has 64 characters, but not all are hex digits.") from None
    return _from_raw(raw)


def _from_raw(raw: bytes) -> Ed25519PublicKey:
    ed25519.check_public_key(raw)
    return Ed25519PublicKey.from_public_bytes(raw)


def _from_pem(text: str) -> object:
    if "PRIVATE KEY" in text:
        raise _private_key_sent()
    try:
        return serialization.load_pem_public_key(text.encode("ascii"))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InvalidPublicKey(
            "The PEM text is not a public key. Expected -----BEGIN PUBLIC KEY----- with its base64 body."
        ) from None


def _from_jwk(jwk: Mapping[str, Any]) -> AnyPublicKey:
    if _PRIVATE_JWK_MEMBERS & jwk.keys():
        raise _private_key_sent()
    match jwk.get("kty"), jwk.get("crv"):
        case "OKP", "Ed25519":
            return _from_raw(_jwk_bytes(jwk, "x"))
        case "EC", "P-256" | "P-384":
            return _ec_from_jwk(jwk)
        case "RSA", _:
            return _rsa_from_jwk(jwk)
    raise InvalidPublicKey(
        "The JWK is not an Ed25519 (OKP), P-256 or P-384 (EC) or RSA key. Check kty and crv."
    )


def _ec_from_jwk(jwk: Mapping[str, Any]) -> ec.EllipticCurvePublicKey:
    curve, size = (ec.SECP256R1(), 32) if jwk["crv"] == "P-256" else (ec.SECP384R1(), 48)
    x, y = _jwk_bytes(jwk, "x"), _jwk_bytes(jwk, "y")
    if len(x) != size or len(y) != size:
        raise InvalidPublicKey(f"x and y of a {jwk['crv']} key have {size} bytes each.")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\x04" + x + y)
    except ValueError:
        raise InvalidPublicKey("x and y are not a point on the curve.") from None


def _rsa_from_jwk(jwk: Mapping[str, Any]) -> rsa.RSAPublicKey:
    n = int.from_bytes(_jwk_bytes(jwk, "n"), "big")
    e = int.from_bytes(_jwk_bytes(jwk, "e"), "big")
    if n.bit_length() > _MAX_RSA_BITS:
        raise _rsa_size(n.bit_length())
    try:
        return rsa.RSAPublicNumbers(e, n).public_key()
    except ValueError:
        raise InvalidPublicKey("n and e are not an RSA public key.") from None


def _check_rsa(key: rsa.RSAPublicKey) -> None:
    if not _MIN_RSA_BITS <= key.key_size <= _MAX_RSA_BITS:
        raise _rsa_size(key.key_size)
    numbers = key.public_numbers()
    if numbers.e < 65537 or numbers.e % 2 == 0 or numbers.e.bit_length() > 32 or numbers.n % 2 == 0:
        raise InvalidPublicKey(
            "The RSA key has an unsafe exponent or modulus. Make a new one with e = 65537."
        )


def _rsa_size(bits: int) -> InvalidPublicKey:
    return InvalidPublicKey(
        f"The RSA key has {bits} bits; {_MIN_RSA_BITS} to {_MAX_RSA_BITS} are allowed.", bits=bits
    )


def _jwk_algorithm(jwk: Mapping[str, Any]) -> str | None:
    """The JWK's ``alg`` where it is a name of RFC 9421's registry that chooses between RSA paddings."""
    alg = jwk.get("alg")
    return alg if jwk.get("kty") == "RSA" and alg in ("rsa-pss-sha512", "rsa-v1_5-sha256") else None


def _jwk_bytes(jwk: Mapping[str, Any], member: str) -> bytes:
    value = jwk.get(member)
    if not isinstance(value, str) or not value or len(value) > _MAX_TEXT:
        raise InvalidPublicKey(f"The JWK has no member {member}, or it is not base64url text.")
    try:
        raw = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise InvalidPublicKey(f"The member {member} of the JWK is not base64url without padding.") from None
    if _base64url(raw) != value:
        raise InvalidPublicKey(f"The member {member} of the JWK is not base64url without padding.")
    return raw


def _json_object(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidPublicKey("The public key looks like JSON, but is not.") from None
    return cast("dict[str, Any]", value)


def _private_key_sent() -> InvalidPublicKey:
    return InvalidPublicKey(
        "That is a private key. It was not stored, but it has left your machine: make a new key pair, "
        "keep the private half to yourself and send the public one."
    )


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _base64url_number(number: int) -> str:
    return _base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))
