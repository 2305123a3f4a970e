"""Making signatures: for the responses, the key directory and the webhooks of this server."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from . import sf
from .base import build_base
from .components import STRUCTURED_FIELDS, Component, Components
from .errors import InvalidPrivateKey
from .keys import PublicKey
from .message import Message

AnyPrivateKey = Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class PrivateKey(ABC):
    """A private key with the one signature algorithm that it is used with. Its ``repr`` is public."""

    algorithm: ClassVar[str]

    def __init__(self, key: AnyPrivateKey) -> None:
        self._any_key = key
        public_der = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.public_key = PublicKey.from_der(public_der, self.algorithm)

    @staticmethod
    def generate(algorithm: str = "ed25519") -> "PrivateKey":
        """A new key for ``algorithm``. Raises :class:`InvalidPrivateKey` for an unknown one."""
        match algorithm:
            case "ed25519":
                return Ed25519SigningKey(Ed25519PrivateKey.generate())
            case "ecdsa-p256-sha256":
                return P256SigningKey(ec.generate_private_key(ec.SECP256R1()))
            case "ecdsa-p384-sha384":
                return P384SigningKey(ec.generate_private_key(ec.SECP384R1()))
            case "rsa-pss-sha512" | "rsa-v1_5-sha256":
                return _private_key(rsa.generate_private_key(65537, 3072), algorithm)
        raise InvalidPrivateKey("There is no such signature algorithm.")

    @staticmethod
    def from_pkcs8(der: bytes, algorithm: str | None = None) -> "PrivateKey":
        """The key that :meth:`pkcs8` gave. Raises :class:`InvalidPrivateKey`."""
        try:
            key = serialization.load_der_private_key(der, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise InvalidPrivateKey(
                "The stored private key is not an unencrypted PKCS#8 structure."
            ) from None
        return _private_key(key, algorithm)

    def pkcs8(self) -> bytes:
        """The key as PKCS#8 DER, unencrypted: encrypt it before it is stored."""
        return self._any_key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @abstractmethod
    def sign(self, base: bytes) -> bytes:
        """The signature of ``base`` as RFC 9421 section 3.3 wants it."""

    def __repr__(self) -> str:
        return f"<PrivateKey of {self.public_key!r}>"


class Ed25519SigningKey(PrivateKey):
    algorithm = "ed25519"

    def __init__(self, key: Ed25519PrivateKey) -> None:
        super().__init__(key)
        self._key = key

    def sign(self, base: bytes) -> bytes:
        return self._key.sign(base)


class EcdsaSigningKey(PrivateKey):
    size: ClassVar[int]
    hash_algorithm: ClassVar[type[hashes.HashAlgorithm]]

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        super().__init__(key)
        self._key = key

    def sign(self, base: bytes) -> bytes:
        r, s = decode_dss_signature(self._key.sign(base, ec.ECDSA(self.hash_algorithm())))
        return r.to_bytes(self.size, "big") + s.to_bytes(self.size, "big")


class P256SigningKey(EcdsaSigningKey):
    algorithm = "ecdsa-p256-sha256"
    size, hash_algorithm = 32, hashes.SHA256


class P384SigningKey(EcdsaSigningKey):
    algorithm = "ecdsa-p384-sha384"
    size, hash_algorithm = 48, hashes.SHA384


class RsaPssSigningKey(PrivateKey):
    algorithm = "rsa-pss-sha512"

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        super().__init__(key)
        self._key = key

    def sign(self, base: bytes) -> bytes:
        pss = padding.PSS(mgf=padding.MGF1(hashes.SHA512()), salt_length=64)
        return self._key.sign(base, pss, hashes.SHA512())


class RsaPkcs1SigningKey(PrivateKey):
    algorithm = "rsa-v1_5-sha256"

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        super().__init__(key)
        self._key = key

    def sign(self, base: bytes) -> bytes:
        return self._key.sign(base, padding.PKCS1v15(), hashes.SHA256())


def sign(
    message: Message,
    *,
    label: str,
    components: Sequence[str | Component],
    params: Mapping[str, sf.BareItem],
    private_key: PrivateKey,
    structured_fields: Mapping[str, str] = STRUCTURED_FIELDS,
) -> tuple[str, str]:
    """Sign ``message``; gives the values of ``Signature-Input`` and ``Signature``.

    components: names (``@status``) or whole identifiers (``"@method";req``), in the order to be signed.
    params: ``created``, ``expires`` (seconds since the epoch), ``keyid``, ``nonce``, ``tag``, ``alg``.
    Raises :class:`ComponentUnknown` if the message lacks a component, :class:`StructuredFieldError` for
    values that no structured field can hold.
    """
    covered = Components([_component(each) for each in components])
    params_text = covered.text + sf.serialize_parameters(params)
    base = build_base(covered, params_text, message, structured_fields)
    value = sf.serialize_bare_item(private_key.sign(base))
    return f"{label}={params_text}", f"{label}={value}"


def _component(each: str | Component) -> Component:
    if isinstance(each, Component):
        return each
    name, params = sf.parse_item(each) if each.startswith('"') else sf.Item(each, {})
    return Component(str(name), params)


def _private_key(key: object, algorithm: str | None) -> PrivateKey:
    match key, algorithm:
        case Ed25519PrivateKey(), None | "ed25519":
            return Ed25519SigningKey(key)
        case ec.EllipticCurvePrivateKey(curve=ec.SECP256R1()), None | "ecdsa-p256-sha256":
            return P256SigningKey(key)
        case ec.EllipticCurvePrivateKey(curve=ec.SECP384R1()), None | "ecdsa-p384-sha384":
            return P384SigningKey(key)
        case rsa.RSAPrivateKey(), None | "rsa-pss-sha512":
            return RsaPssSigningKey(key)
        case rsa.RSAPrivateKey(), "rsa-v1_5-sha256":
            return RsaPkcs1SigningKey(key)
    raise InvalidPrivateKey(
        "The private key does not fit the algorithm, or is of a kind that is not supported."
    )
