"""Private keys: reading, making, naming. Nothing here ever shows private material by itself."""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from http_message_signatures import HTTPSignatureAlgorithm, algorithms

from .errors import InvalidKeyError

AnyPrivateKey: TypeAlias = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
AnyPublicKey: TypeAlias = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey
KeyMaterial: TypeAlias = bytes | str | AnyPrivateKey

#: RFC 9421 algorithm names that a DataFold client may use. No shared secrets.
ALGORITHMS: Final[dict[str, type[HTTPSignatureAlgorithm]]] = {
    "ed25519": algorithms.ED25519,
    "ecdsa-p256-sha256": algorithms.ECDSA_P256_SHA256,
    "ecdsa-p384-sha384": algorithms.ECDSA_P384_SHA384,
    "rsa-pss-sha512": algorithms.RSA_PSS_SHA512,
    "rsa-v1_5-sha256": algorithms.RSA_V1_5_SHA256,
}
MIN_RSA_BITS: Final = 2048
#: 2 to the power 255 minus 19, the field of Curve25519.
_ED25519_FIELD: Final = 2**255 - 19
#: y coordinates of the points of small order: under such a key, signatures can be forged.
_ED25519_SMALL_ORDER_Y: Final = frozenset(
    {
        0,
        1,
        _ED25519_FIELD - 1,
        int.from_bytes(
            bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little"
        ),
        int.from_bytes(
            bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
        ),
    }
)


def generate_key_pair() -> tuple[bytes, bytes]:
    """Make an Ed25519 key pair: (private_key, public_key), 32 raw bytes each (RFC 8032 section 5.1.5)."""
    private_key = ed25519.Ed25519PrivateKey.generate()
    return private_key.private_bytes_raw(), private_key.public_key().public_bytes_raw()


@dataclass(frozen=True, repr=False)
class PrivateKey:
    """A private key together with the one algorithm that it signs with.

    Made by `load` or `generate`. Its repr shows the thumbprint, never the key.
    """

    algorithm: str
    key: AnyPrivateKey

    @classmethod
    def generate(cls, algorithm: str = "ed25519") -> PrivateKey:
        """Make a new key. RSA keys get 3072 bits. Raises InvalidKeyError for an unknown algorithm."""
        name = _known_algorithm(algorithm)
        makers: dict[str, Callable[[], AnyPrivateKey]] = {
            "ed25519": ed25519.Ed25519PrivateKey.generate,
            "ecdsa-p256-sha256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "ecdsa-p384-sha384": lambda: ec.generate_private_key(ec.SECP384R1()),
        }
        make = makers.get(name, lambda: rsa.generate_private_key(public_exponent=65537, key_size=3072))
        return cls(name, make())

    @classmethod
    def load(cls, material: KeyMaterial | PrivateKey, algorithm: str | None = None) -> PrivateKey:
        """Read a private key.

        Args:
            material: 32 raw bytes or 64 hexadecimal characters (Ed25519), an unencrypted PEM as text or
                bytes, or a key object of `cryptography`.
            algorithm: an RFC 9421 algorithm name; by default the one that fits the key (RSA-PSS for RSA).

        Raises:
            InvalidKeyError: it cannot be read, or the algorithm does not fit the key.
        """
        if isinstance(material, PrivateKey):
            material = material.key
        key = _read_private_key(material)
        fitting = _fitting_algorithms(key)
        if algorithm is None:
            return cls(fitting[0], key)
        name = _known_algorithm(algorithm)
        if name not in fitting:
            raise InvalidKeyError(
                f"The algorithm {name} does not fit this key; it signs with {_either(fitting)}."
            )
        return cls(name, key)

    @property
    def public_key(self) -> AnyPublicKey:
        """The public half, as an object of `cryptography`."""
        return self.key.public_key()

    @property
    def public_jwk(self) -> dict[str, str]:
        """The public half as a JWK with its required members only (RFC 7517, RFC 8037)."""
        return public_jwk(self.public_key)

    @property
    def thumbprint(self) -> str:
        """RFC 7638 SHA-256 thumbprint of the public half, base64url without padding."""
        return jwk_thumbprint(self.public_jwk)

    @property
    def public_text(self) -> str:
        """The public half as registration takes it: 64 hex characters for Ed25519, else PEM."""
        public_key = self.public_key
        if isinstance(public_key, ed25519.Ed25519PublicKey):
            return public_key.public_bytes_raw().hex()
        return public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")

    def private_pem(self) -> bytes:
        """The private key itself, as unencrypted PKCS #8 PEM. Keep it secret."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def __repr__(self) -> str:
        return f"<PrivateKey {self.algorithm} {self.thumbprint}>"


def public_jwk(key: AnyPublicKey) -> dict[str, str]:
    """The JWK of a public key: the members that RFC 7638 section 3.2 requires, nothing else."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        return {"kty": "OKP", "crv": "Ed25519", "x": _b64url(key.public_bytes_raw())}
    if isinstance(key, ec.EllipticCurvePublicKey):
        curve = {"secp256r1": "P-256", "secp384r1": "P-384"}[key.curve.name]
        point, size = key.public_numbers(), (key.curve.key_size + 7) // 8
        return {
            "kty": "EC",
            "crv": curve,
            "x": _b64url(point.x.to_bytes(size, "big")),
            "y": _b64url(point.y.to_bytes(size, "big")),
        }
    numbers = key.public_numbers()
    return {"kty": "RSA", "n": _b64url_uint(numbers.n), "e": _b64url_uint(numbers.e)}


def jwk_thumbprint(jwk: dict[str, Any]) -> str:
    """RFC 7638 SHA-256 thumbprint of a public JWK. Raises InvalidKeyError if a required member is missing."""
    members = {"OKP": ("crv", "kty", "x"), "EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n")}
    required = members.get(str(jwk.get("kty")))
    if required is None:
        raise InvalidKeyError("The JWK's kty must be OKP, EC or RSA.")
    if not all(isinstance(jwk.get(name), str) for name in required):
        raise InvalidKeyError(f"The JWK lacks one of its required members: {', '.join(required)}.")
    canonical = json.dumps({name: jwk[name] for name in required}, separators=(",", ":"))
    return _b64url(hashlib.sha256(canonical.encode()).digest())


def load_public_jwk(jwk: dict[str, Any]) -> AnyPublicKey:
    """Read a public JWK.

    Raises:
        InvalidKeyError: it cannot be read, its curve is not supported, RSA is under 2048 bits, or it is an
            Ed25519 key of small order or non-canonical encoding, under which signatures can be forged.
    """
    jwk_thumbprint(jwk)
    try:
        return _public_key_of(jwk)
    except InvalidKeyError:
        raise
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise InvalidKeyError("The JWK does not hold a valid public key.") from exc


def algorithms_for(key: AnyPublicKey) -> tuple[str, ...]:
    """RFC 9421 algorithm names that fit a public key, the preferred one first."""
    return _fitting_algorithms(key)


def _public_key_of(jwk: dict[str, Any]) -> AnyPublicKey:
    if jwk["kty"] == "RSA":
        numbers = rsa.RSAPublicNumbers(e=_uint(jwk["e"]), n=_uint(jwk["n"]))
        key = numbers.public_key()
        _fitting_algorithms(key)
        return key
    if jwk["kty"] == "EC":
        curve = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1}.get(jwk["crv"])
        if curve is None:
            raise InvalidKeyError("The JWK's curve must be P-256 or P-384.")
        return ec.EllipticCurvePublicNumbers(_uint(jwk["x"]), _uint(jwk["y"]), curve()).public_key()
    if jwk["crv"] != "Ed25519":
        raise InvalidKeyError("The JWK's curve must be Ed25519.")
    raw = _unb64url(jwk["x"])
    y = int.from_bytes(raw, "little") & ((1 << 255) - 1)
    if y >= _ED25519_FIELD or y in _ED25519_SMALL_ORDER_Y:
        raise InvalidKeyError(
            "This Ed25519 key has small order or a non-canonical encoding: anyone could sign."
        )
    return ed25519.Ed25519PublicKey.from_public_bytes(raw)


def _read_private_key(material: KeyMaterial) -> AnyPrivateKey:
    if isinstance(material, AnyPrivateKey):
        return material
    if isinstance(material, str):
        material = _bytes_of_text(material.strip())
    if not isinstance(material, (bytes, bytearray, memoryview)):
        raise InvalidKeyError("A private key is 32 raw bytes, 64 hexadecimal characters, or PEM.")
    material = bytes(material)
    if material.lstrip().startswith(b"-----BEGIN"):
        return _read_pem(material.strip())
    if len(material) != 32:
        raise InvalidKeyError(f"A raw Ed25519 private key has 32 bytes; this one has {len(material)}.")
    return ed25519.Ed25519PrivateKey.from_private_bytes(material)


def _bytes_of_text(text: str) -> bytes:
    if text.startswith("-----BEGIN"):
        return text.encode()
    try:
        return bytes.fromhex(text)
    except ValueError:
        # `from None`: the original message would quote the text.
        raise InvalidKeyError("The private key is neither PEM nor hexadecimal.") from None


def _read_pem(pem: bytes) -> AnyPrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        raise InvalidKeyError(
            "The private key is encrypted; decrypt it first (openssl pkey -in … -out …)."
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidKeyError("The PEM does not hold a private key that can be read.") from None
    if not isinstance(key, AnyPrivateKey):
        raise InvalidKeyError("This type of key is not supported: use Ed25519, ECDSA P-256 or P-384, or RSA.")
    return key


def _fitting_algorithms(key: AnyPrivateKey | AnyPublicKey) -> tuple[str, ...]:
    if isinstance(key, (ed25519.Ed25519PrivateKey, ed25519.Ed25519PublicKey)):
        return ("ed25519",)
    if isinstance(key, (ec.EllipticCurvePrivateKey, ec.EllipticCurvePublicKey)):
        names = {"secp256r1": "ecdsa-p256-sha256", "secp384r1": "ecdsa-p384-sha384"}
        if key.curve.name not in names:
            raise InvalidKeyError(f"The curve {key.curve.name} is not supported: use P-256 or P-384.")
        return (names[key.curve.name],)
    if key.key_size < MIN_RSA_BITS:
        raise InvalidKeyError(f"An RSA key needs at least {MIN_RSA_BITS} bits; this one has {key.key_size}.")
    return ("rsa-pss-sha512", "rsa-v1_5-sha256")


def _known_algorithm(name: str) -> str:
    if not isinstance(name, str) or name.lower() not in ALGORITHMS:
        raise InvalidKeyError(f"The algorithm {name!r} is not known. Choose {_either(tuple(ALGORITHMS))}.")
    return name.lower()


def _either(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _b64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _unb64url(text: str) -> bytes:
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _b64url(data) != text:
        raise InvalidKeyError("A member of the JWK is not base64url without padding.")
    return data


def _b64url_uint(value: int) -> str:
    return _b64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _uint(text: str) -> int:
    return int.from_bytes(_unb64url(text), "big")
