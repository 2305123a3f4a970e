"""Which public keys are taken, in which forms, and which are refused with a reason."""

import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519

from keys.httpsig import InvalidPublicKey, PublicKey, load_public_key

PEM = serialization.Encoding.PEM
SPKI = serialization.PublicFormat.SubjectPublicKeyInfo
PRIVATE = ed25519.Ed25519PrivateKey.generate()
RAW = PRIVATE.public_key().public_bytes_raw()


def pem(key: object) -> str:
    return key.public_bytes(PEM, SPKI).decode()  # type: ignore[attr-defined,no-any-return]


def test_one_key_in_four_forms_is_the_same_key() -> None:
    by_hex = load_public_key(RAW.hex())
    assert load_public_key(RAW.hex().upper()) == by_hex
    assert load_public_key(pem(PRIVATE.public_key())) == by_hex
    assert load_public_key({**by_hex.jwk(), "kid": "x", "use": "sig"}) == by_hex
    assert load_public_key(json.dumps(by_hex.jwk())) == by_hex
    assert PublicKey.from_der(by_hex.der, "ed25519") == by_hex
    assert by_hex.pem() == pem(PRIVATE.public_key())
    assert len(by_hex.fingerprint) == 64


def test_an_rsa_key_is_used_with_the_algorithm_that_was_chosen() -> None:
    key = pem(rsa.generate_private_key(65537, 2048).public_key())
    assert load_public_key(key).algorithm == "rsa-pss-sha512"
    assert load_public_key(key, "rsa-v1_5-sha256").algorithm == "rsa-v1_5-sha256"
    assert load_public_key(key).thumbprint == load_public_key(key, "rsa-v1_5-sha256").thumbprint
    jwk = {**load_public_key(key).jwk(), "alg": "rsa-v1_5-sha256"}
    assert load_public_key(jwk).algorithm == "rsa-v1_5-sha256"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("", "none of them"),
        ("ab" * 31, "none of them"),
        ("ab" * 64, "private key"),
        ("zz" * 32, "hex"),
        ("00" * 32, "low order"),
        ("02" + "00" * 31, "not a point"),
        ("f" * 64, "not canonical"),
        (pem(rsa.generate_private_key(65537, 1024).public_key()), "1024 bits"),
        (pem(rsa.generate_private_key(3, 2048).public_key()), "exponent"),
        (pem(ec.generate_private_key(ec.SECP256K1()).public_key()), "secp256k1"),
        (pem(x25519.X25519PrivateKey.generate().public_key()), "not supported"),
        (pem(ed448.Ed448PrivateKey.generate().public_key()), "not supported"),
        (pem(dsa.generate_private_key(1024).public_key()), "not"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "not a public key"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "not a public key"),
        ({"kty": "oct", "k": "c2VjcmV0"}, "private key"),
        ({"kty": "OKP", "crv": "X25519", "x": "AAAA"}, "kty and crv"),
        ({"kty": "OKP", "crv": "Ed25519"}, "no member x"),
        ({"kty": "OKP", "crv": "Ed25519", "x": "AA=="}, "base64url"),
        ({"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}, "on the curve"),
        ({"kty": "RSA", "n": "_" * 3000, "e": "AQAB"}, "bits"),
        ({"kty": ["RSA"]}, "kty and crv"),
        ("{not json", "JSON"),
        ("{" * 5000, "JSON"),
        (7, "string"),
    ],
)
def test_bad_keys_are_refused_with_the_reason(value: object, why: str) -> None:
    with pytest.raises(InvalidPublicKey, match=why):
        load_public_key(value)  # type: ignore[arg-type]


def test_a_private_key_is_refused_and_never_repeated() -> None:
    private = PRIVATE.private_bytes(
        PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    secret = private.splitlines()[1]
    for value in (private, pem(PRIVATE.public_key()) + private):
        with pytest.raises(InvalidPublicKey) as caught:
            load_public_key(value)
        assert "private key" in caught.value.message
        assert secret not in caught.value.message + repr(caught.value.details)


def test_an_algorithm_that_does_not_fit_the_key_is_refused() -> None:
    for algorithm in ("rsa-pss-sha512", "hmac-sha256", "none", "EdDSA"):
        with pytest.raises(InvalidPublicKey, match="does not fit"):
            load_public_key(RAW.hex(), algorithm)
