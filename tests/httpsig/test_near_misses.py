"""Signatures that are right but for their form."""

from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from keys.httpsig import (
    PROFILES,
    PrivateKey,
    PublicKey,
    find_cause,
    load_public_key,
    parse_signatures,
    select_signature,
    sf,
    signature_base,
)
from keys.httpsig.keys import Ed25519Key
from tests.httpsig.support import PRIVATE_KEY, changed, make_request, signed

ECDSA = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
SHA256, SHA512 = hashes.SHA256(), hashes.SHA512()


def registered(private_key: Any, algorithm: str | None = None) -> PublicKey:
    pem = private_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return load_public_key(pem.decode(), algorithm)


def cause_of(key: PublicKey, sign: Callable[[bytes], bytes], **params: Any) -> str | None:
    """What is said of a request whose signature `sign` made, sent as `params` say."""
    request = signed(make_request(), alg=None, **params)
    signature = select_signature(parse_signatures(request, PROFILES["standard"].limits))
    value = sf.serialize_bare_item(sign(signature_base(signature, request)))
    request = changed(request, fields={**request.fields, "signature": f"sig1={value}"})
    signature = select_signature(parse_signatures(request, PROFILES["standard"].limits))
    found = find_cause(signature, request, [key])
    return found.code if found else None


def ed25519(base: bytes) -> bytes:
    return PRIVATE_KEY.sign(base)


@pytest.mark.parametrize(
    ("key", "sign", "code"),
    [
        (PRIVATE_KEY.public_key, lambda base: ed25519(base).hex().encode(), "HEX_SIGNATURE"),
        (PRIVATE_KEY.public_key, lambda base: _decoded(ed25519(base).hex()), "HEX_SIGNATURE"),
        (PRIVATE_KEY.public_key, lambda base: b64encode(ed25519(base)), "SIGNATURE_LENGTH"),
        (PRIVATE_KEY.public_key, lambda base: b"", "SIGNATURE_LENGTH"),
        (registered(ECDSA), lambda base: ECDSA.sign(base, ec.ECDSA(SHA256)), "DER_SIGNATURE"),
        (registered(ECDSA), lambda base: ECDSA.sign(b"other", ec.ECDSA(SHA256)), "SIGNATURE_LENGTH"),
        (registered(RSA), lambda base: RSA.sign(base, padding.PKCS1v15(), SHA256), "OTHER_PADDING"),
        (registered(RSA), lambda base: RSA.sign(base, pss(SHA512, 32), SHA512), "OTHER_PADDING"),
        (registered(RSA), lambda base: RSA.sign(base, pss(SHA256, 32), SHA256), "OTHER_PADDING"),
        (registered(RSA, "rsa-v1_5-sha256"), lambda base: RSA.sign(base, pss(SHA512, 64), SHA512), "OTHER_PADDING"),
        (registered(RSA), lambda base: RSA.sign(b"other", pss(SHA512, 64), SHA512), None),
        (registered(RSA), ed25519, "SIGNATURE_LENGTH"),
    ],
)  # fmt: skip
def test_the_form_is_named(key: PublicKey, sign: Callable[[bytes], bytes], code: str | None) -> None:
    assert cause_of(key, sign) == code


def test_a_signature_that_is_nobodys_is_not_explained_by_its_form() -> None:
    assert cause_of(PRIVATE_KEY.public_key, PrivateKey.generate().sign) is None


def cause_under(keys: Sequence[PublicKey], private_key: PrivateKey) -> str | None:
    """What is said where the signer took http:// for https://, and the client has these keys."""
    sent = changed(signed(make_request(scheme="http"), private_key=private_key, alg=None), scheme="https")
    found = find_cause(select_signature(parse_signatures(sent, PROFILES["standard"].limits)), sent, keys)
    return found.code if found else None


def test_the_cause_is_found_with_any_of_the_clients_keys() -> None:
    """A rotation leaves the old key beside the new one, perhaps of another algorithm."""
    p384 = registered(ec.generate_private_key(ec.SECP384R1()))
    ours, other = PRIVATE_KEY.public_key, PrivateKey.generate().public_key
    for newest in (p384, registered(RSA), registered(ECDSA), other):
        assert cause_under([newest, ours], PRIVATE_KEY) == "OTHER_ORIGIN"
    assert cause_under([p384, registered(RSA)], PRIVATE_KEY) == "SIGNATURE_LENGTH"
    assert cause_under([p384, other], PRIVATE_KEY) is None


def test_the_search_ends_however_many_keys_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[bytes] = []
    monkeypatch.setattr(Ed25519Key, "verify", lambda _, __, base: tried.append(base))
    assert cause_under([PrivateKey.generate().public_key for _ in range(6)], PRIVATE_KEY) is None
    assert 60 < len(tried) <= 110 + 2 * 6


def pss(hash_algorithm: hashes.HashAlgorithm, salt: int) -> padding.PSS:
    return padding.PSS(padding.MGF1(hash_algorithm), salt)


def _decoded(text: str) -> bytes:
    """What a server reads out of hexadecimal digits where base64 belongs."""
    item = sf.parse_item(f":{text}:")
    assert isinstance(item.value, bytes)
    return item.value
