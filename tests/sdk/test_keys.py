from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from datafold_sdk import InvalidKeyError, PrivateKey, generate_key_pair, jwk_thumbprint
from datafold_sdk.keys import ALGORITHMS, load_public_jwk

VECTORS = Path(os.environ.get("DATAFOLD_VECTORS", Path(__file__).parents[3] / "shared" / "vectors"))


def vectors(name: str) -> Any:
    path = VECTORS / name
    if not path.exists():
        pytest.skip(f"{path} is not there; set DATAFOLD_VECTORS")
    return json.loads(path.read_text())


def test_a_key_pair_is_two_times_32_bytes_that_belong_together() -> None:
    private_key, public_key = generate_key_pair()
    assert (len(private_key), len(public_key)) == (32, 32)
    derived = ed25519.Ed25519PrivateKey.from_private_bytes(private_key).public_key()
    assert derived.public_bytes_raw() == public_key


def test_two_key_pairs_differ() -> None:
    assert generate_key_pair() != generate_key_pair()


@pytest.mark.parametrize("shape", ["raw", "bytearray", "hex", "upper", "padded", "pem", "pem text", "object"])
def test_every_shape_of_a_private_key_is_the_same_key(shape: str) -> None:
    raw, _ = generate_key_pair()
    key = PrivateKey.load(raw)
    shapes: dict[str, Any] = {
        "raw": raw,
        "bytearray": bytearray(raw),
        "hex": raw.hex(),
        "upper": raw.hex().upper(),
        "padded": f"  {raw.hex()}\n",
        "pem": key.private_pem(),
        "pem text": key.private_pem().decode(),
        "object": key.key,
    }
    assert PrivateKey.load(shapes[shape]).thumbprint == key.thumbprint


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_every_algorithm_survives_its_pem(algorithm: str) -> None:
    key = PrivateKey.generate(algorithm)
    again = PrivateKey.load(key.private_pem(), algorithm)
    assert (again.algorithm, again.thumbprint) == (algorithm, key.thumbprint)


def test_an_rsa_key_signs_with_pss_unless_told_otherwise() -> None:
    pem = PrivateKey.generate("rsa-v1_5-sha256").private_pem()
    assert PrivateKey.load(pem).algorithm == "rsa-pss-sha512"


def encrypted() -> bytes:
    key = ed25519.Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))


@pytest.mark.parametrize(
    ("material", "algorithm", "says"),
    [
        (b"x" * 31, None, "31"),
        (b"", None, "32 bytes"),
        ("zz" * 32, None, "neither PEM nor hexadecimal"),
        ("-----BEGIN PRIVATE KEY-----\nrubbish\n-----END PRIVATE KEY-----", None, "PEM"),
        (encrypted(), None, "encrypted"),
        (7, None, "32 raw bytes"),
        (b"x" * 32, "ecdsa-p256-sha256", "does not fit"),
        (b"x" * 32, "hmac-sha256", "not known"),
        (ec.generate_private_key(ec.SECP256K1()), None, "curve"),
        (ec.generate_private_key(ec.SECP256R1()), "ecdsa-p384-sha384", "does not fit"),
        (rsa.generate_private_key(65537, 1024), None, "2048"),
    ],
)
def test_what_is_no_usable_key_is_refused_with_a_reason(
    material: object, algorithm: str | None, says: str
) -> None:
    with pytest.raises(InvalidKeyError, match=says):
        PrivateKey.load(material, algorithm)  # type: ignore[arg-type]


def test_errors_and_reprs_never_quote_the_key() -> None:
    raw, _ = generate_key_pair()
    for text in (raw.hex()[:-2] + "zz", raw.hex() + "00"):
        with pytest.raises(InvalidKeyError) as caught:
            PrivateKey.load(text)
        error: BaseException | None = caught.value
        while error is not None:
            assert text[:16] not in f"{error!s}{error!r}"
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    assert raw.hex() not in repr(PrivateKey.load(raw))


def test_thumbprints_are_those_of_the_rfcs() -> None:
    for example in vectors("directory_facts.json")["jwk_thumbprint"]["examples"]:
        assert jwk_thumbprint(example["jwk"]) == example["thumbprint"], example["name"]


def test_keys_under_which_anyone_can_sign_are_refused() -> None:
    from base64 import urlsafe_b64encode

    for encoding in vectors("ed25519_edge.json")["low_order_public_key_encodings_hex"]:
        x = urlsafe_b64encode(bytes.fromhex(encoding)).rstrip(b"=").decode()
        with pytest.raises(InvalidKeyError):
            load_public_jwk({"kty": "OKP", "crv": "Ed25519", "x": x})


@pytest.mark.parametrize(
    "jwk",
    [
        {},
        {"kty": "oct", "k": "AA"},
        {"kty": "OKP", "crv": "Ed25519"},
        {"kty": "OKP", "crv": "X25519", "x": "A" * 43},
        {"kty": "OKP", "crv": "Ed25519", "x": "A" * 42},
        {"kty": "OKP", "crv": "Ed25519", "x": "é"},
        {"kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ"},
        {"kty": "EC", "crv": "P-521", "x": "AQ", "y": "AQ"},
        {"kty": "RSA", "n": "AQ", "e": "AQAB"},
        {"kty": "RSA", "n": "", "e": ""},
    ],
)
def test_what_is_no_public_jwk_is_refused(jwk: dict[str, Any]) -> None:
    with pytest.raises(InvalidKeyError):
        load_public_jwk(jwk)
