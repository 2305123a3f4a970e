"""What the server signs, checked by an implementation that shares no code with it; and Accept-Signature."""

import base64
import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key
from http_message_signatures import HTTPMessageSigner, HTTPMessageVerifier, MappingKeyResolver, algorithms

from keys.httpsig import (
    PROFILES,
    InvalidPrivateKey,
    Limits,
    PrivateKey,
    Request,
    Response,
    SignatureMalformed,
    SignatureTooLarge,
    accept_signature_for,
    check_content_digest,
    check_signature,
    content_digest,
    parse_accept_signature,
    parse_signatures,
    sign,
    signature_base,
    verify,
)
from tests.httpsig.support import AUTHORITY, NOW, StoredKey, make_request

BODY = b'{"keys": []}'
COMPONENTS = ["@status", "content-digest", "content-type", '"@method";req', '"@target-uri";req']
PEERS = {
    "ed25519": algorithms.ED25519,
    "ecdsa-p256-sha256": algorithms.ECDSA_P256_SHA256,
    "rsa-pss-sha512": algorithms.RSA_PSS_SHA512,
    "rsa-v1_5-sha256": algorithms.RSA_V1_5_SHA256,
}


def signed_response(key: PrivateKey) -> Response:
    fields = {
        "content-type": "application/json",
        "content-digest": content_digest(BODY, ("sha-256", "sha-512")),
    }
    response = Response(status=200, fields=fields, body=BODY, request=make_request())
    created = int(datetime.datetime.now(datetime.UTC).timestamp())
    params: dict[str, Any] = {
        "created": created,
        "expires": created + 60,
        "keyid": "server",
        "tag": "datafold-response",
    }
    signature_input, signature = sign(
        response, label="server", components=COMPONENTS, params=params, private_key=key
    )
    fields |= {"signature-input": signature_input, "signature": signature}
    return response


@pytest.mark.parametrize("algorithm", sorted(PEERS))
def test_another_implementation_verifies_our_responses(algorithm: str) -> None:
    key = PrivateKey.generate(algorithm)
    response = signed_response(key)
    request = SimpleNamespace(method="GET", url=f"https://{AUTHORITY}/api/v1/schemas?limit=5", headers={})
    message = SimpleNamespace(status_code=200, headers=dict(response.fields), request=request)
    verifier = HTTPMessageVerifier(
        signature_algorithm=PEERS[algorithm],
        key_resolver=MappingKeyResolver(
            public_keys={"server": load_der_public_key(key.public_key.der)},  # type: ignore[dict-item]
            private_keys={},
        ),
    )
    (result,) = verifier.verify(message, expect_tag="datafold-response", body=BODY)
    assert result.parameters["keyid"] == "server"


def test_we_verify_our_own_responses() -> None:
    key = PrivateKey.generate()
    response = signed_response(key)
    (signature,) = parse_signatures(response, Limits())
    stored = StoredKey(key.public_key)
    assert check_signature(signature, signature_base(signature, response), [stored]) is stored
    check_content_digest(response)


@pytest.mark.parametrize(("method", "body"), [("GET", b""), ("POST", b'{"name": "orders"}')])
def test_we_verify_what_another_implementation_signs(method: str, body: bytes) -> None:
    key = PrivateKey.generate()
    private_pkcs8 = key.pkcs8()
    message = SimpleNamespace(
        method=method,
        url=f"https://{AUTHORITY}/api/v1/schemas?limit=5",
        headers={"Host": AUTHORITY, "Content-Type": "application/json"},
    )
    covered = ["@method", "@target-uri", *(["content-type"] if body else [])]
    HTTPMessageSigner(
        signature_algorithm=algorithms.ED25519,
        key_resolver=MappingKeyResolver(public_keys={}, private_keys={"orders": _private(private_pkcs8)}),
    ).sign(
        message,
        key_id="orders",
        created=datetime.datetime.fromtimestamp(NOW, datetime.UTC),
        nonce="b2Vb0yTq3mJ8aZk1vXc7Lw",
        tag="datafold",
        covered_component_ids=covered,
        body=body or None,
    )
    request = Request.from_lines(
        method=method,
        raw_target="/api/v1/schemas?limit=5",
        scheme="https",
        lines=list(message.headers.items()),
        body=body,
    )
    stored = StoredKey(key.public_key)
    assert verify(request, policy=PROFILES["standard"], keys_for=lambda _: [stored], now=NOW).key is stored


def _private(der: bytes) -> Any:
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    return load_der_private_key(der, password=None)


def test_a_stored_private_key_that_does_not_load() -> None:
    with pytest.raises(InvalidPrivateKey):
        PrivateKey.from_pkcs8(b"nonsense")
    with pytest.raises(InvalidPrivateKey):
        PrivateKey.from_pkcs8(PrivateKey.generate().pkcs8(), "rsa-pss-sha512")
    with pytest.raises(InvalidPrivateKey):
        PrivateKey.generate("hmac-sha256")
    assert base64.b64encode(PrivateKey.generate().pkcs8()).decode() not in repr(PrivateKey.generate())


@pytest.mark.parametrize(
    ("profile", "method", "expected"),
    [
        ("standard", "GET", 'sig1=("@method" "@target-uri");created;tag="datafold"'),
        (
            "standard",
            "POST",
            'sig1=("@method" "@target-uri" "content-digest" "content-type");created;tag="datafold"',
        ),
        ("strict", "GET", 'sig1=("@method" "@target-uri" "@authority");created;tag="datafold"'),
        ("lenient", "PUT", 'sig1=("@method" "@target-uri" "content-digest");created;tag="datafold"'),
    ],
)
def test_accept_signature_says_what_the_profile_wants(profile: str, method: str, expected: str) -> None:
    value = accept_signature_for(PROFILES[profile], method=method)
    assert value == expected
    (wanted,) = parse_accept_signature(value)
    assert (wanted.label, wanted.created, wanted.expires, wanted.tag) == ("sig1", True, False, "datafold")


def test_accept_signature_of_the_rfc() -> None:
    """RFC 9421 section 5.1."""
    (wanted,) = parse_accept_signature(
        'sig1=("@method" "@target-uri" "@authority" "content-digest" "cache-control");'
        'keyid="test-key-rsa-pss";created;tag="app-123"'
    )
    assert [component.name for component in wanted.components][-1] == "cache-control"
    assert (wanted.keyid, wanted.created, wanted.tag, wanted.nonce) == (
        "test-key-rsa-pss",
        True,
        "app-123",
        None,
    )


@pytest.mark.parametrize(
    "value", ['sig1="x"', "sig1=(a)", 'sig1=("a");created=1', 'sig1=("a");nonce', "sig1=(", "a,"]
)
def test_a_malformed_accept_signature_is_refused(value: str) -> None:
    with pytest.raises(SignatureMalformed):
        parse_accept_signature(value)


def test_an_accept_signature_that_asks_for_too_much_is_refused() -> None:
    for value in ("a" * 9000, ", ".join(f"s{number}=()" for number in range(9))):
        with pytest.raises(SignatureTooLarge):
            parse_accept_signature(value)
