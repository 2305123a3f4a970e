"""Receipts, made from a really signed request, then broken in one place each."""

from __future__ import annotations

import copy
import hashlib
import json
import time
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
import rfc8785
from datafold_sdk import PrivateKey, VerificationError, verify_receipt
from datafold_sdk.keys import ALGORITHMS
from http_message_signatures import HTTPMessageSigner, MappingKeyResolver
from http_message_signatures.httpx2 import adapt_message

FIELDS: list[dict[str, Any]] = [
    {"name": "id", "type": "uuid", "required": True},
    {"name": "at", "type": "datetime"},
]
COMPONENTS = ("@method", "@target-uri", "content-type", "content-digest")


def make_receipt(
    key: PrivateKey,
    *,
    components: tuple[str, ...] = COMPONENTS,
    method: str = "POST",
    url: str = "https://datafold.example/api/v1/schemas",
    body: Any = None,
    key_id: str = "app-1",
    created: float | None = None,
) -> dict[str, Any]:
    """What a server keeps of a request that wrote FIELDS, made with http-message-signatures alone."""
    body = {"name": "user_events", "fields": FIELDS, "version": "1.0.0"} if body is None else body
    request = httpx2.Request(method, url, json=body)
    signer = HTTPMessageSigner(
        signature_algorithm=ALGORITHMS[key.algorithm],
        key_resolver=MappingKeyResolver(public_keys={}, private_keys={key_id: key.key}),
    )
    message = adapt_message(request)
    options: dict[str, Any] = {
        "key_id": key_id,
        "created": datetime.fromtimestamp(created or time.time(), UTC),
        "nonce": "n-1",
        "label": "sig1",
        "tag": "datafold",
        "covered_component_ids": components,
        "use_existing_digest": True,
    }
    request.headers["Content-Digest"] = (
        f"sha-256=:{b64encode(hashlib.sha256(request.content).digest()).decode()}:"
    )
    prepared = signer.prepare(message, **options)
    signature = ALGORITHMS[key.algorithm](private_key=key.key).sign(prepared.signature_base)
    content: list[dict[str, Any]] = [{"required": False, **field} for field in FIELDS]
    return {
        "schema": "user_events",
        "version": 1,
        "format": "fields",
        "content": content,
        "fingerprint": hashlib.sha256(rfc8785.dumps(content)).hexdigest(),
        "client_id": "app-1",
        "key": {"thumbprint": key.thumbprint, "algorithm": key.algorithm, "jwk": key.public_jwk},
        "request": {
            "signature_base": prepared.signature_base.decode(),
            "signature_input": prepared.signature_params,
            "signature": b64encode(signature).decode(),
            "label": "sig1",
            "content_digest": request.headers["Content-Digest"],
            "body": b64encode(request.content).decode(),
        },
        "received_at": datetime.now(UTC).isoformat(),
    }


def failures(receipt: Any) -> list[str]:
    return [check.name for check in verify_receipt(receipt).failures]


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_a_true_receipt_holds(algorithm: str) -> None:
    result = verify_receipt(make_receipt(PrivateKey.generate(algorithm)))
    assert result.valid, result.failures
    assert [check.name for check in result.checks] == [
        "key",
        "signature",
        "signature_base",
        "key_id",
        "content_digest",
        "request",
        "content",
        "fingerprint",
        "time",
    ]
    result.raise_for_failures()


def test_the_envelope_around_it_may_stay(key: PrivateKey) -> None:
    assert verify_receipt({"success": True, "data": make_receipt(key), "error": None, "meta": {}}).valid


def test_the_whole_field_may_stand_for_the_signature_input(key: PrivateKey) -> None:
    receipt = make_receipt(key)
    params = receipt["request"]["signature_input"]
    receipt["request"]["signature_input"] = f'other=("@path");created=1, sig1={params}'
    assert verify_receipt(receipt).valid


def test_a_thumbprint_may_name_the_key(key: PrivateKey) -> None:
    assert verify_receipt(make_receipt(key, key_id=key.thumbprint)).valid


def test_a_further_version_is_named_by_its_path(key: PrivateKey) -> None:
    url = "https://datafold.example/api/v1/schemas/user_events/versions"
    assert verify_receipt(make_receipt(key, url=url, body={"fields": FIELDS})).valid
    assert failures(make_receipt(key, url=url.replace("user_", "other_"), body={"fields": FIELDS})) == [
        "request"
    ]


def replace(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(receipt: dict[str, Any]) -> None:
        holder, names = receipt, path.split(".")
        for name in names[:-1]:
            holder = holder[name]
        holder[names[-1]] = value(holder[names[-1]]) if callable(value) else value

    return change


def other_key(receipt: dict[str, Any]) -> None:
    key = PrivateKey.generate()
    receipt["key"] = {"thumbprint": key.thumbprint, "algorithm": key.algorithm, "jwk": key.public_jwk}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (other_key, ["signature"]),
        (replace("key.thumbprint", "x"), ["key"]),
        (replace("key.algorithm", "rsa-pss-sha512"), ["signature", "signature_base"]),
        (replace("key.jwk", {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43}), ["key", "signature"]),
        (replace("request.signature", b64encode(b"x" * 64).decode()), ["signature"]),
        (replace("request.signature", "?"), ["signature"]),
        (replace("request.signature_base", lambda base: base.replace("POST", "PUT")), ["signature"]),
        (replace("request.signature_input", '("@method");created=1'), ["signature_base"]),
        (replace("request.content_digest", "sha-256=:AAAA:"), ["content_digest"]),
        (replace("request.body", b64encode(b"{}").decode()), ["content_digest", "request", "content"]),
        (replace("request.body", "!"), ["content_digest", "request", "content"]),
        (replace("client_id", "mallory"), ["key_id"]),
        (replace("schema", "other"), ["request"]),
        (replace("content", []), ["content", "fingerprint"]),
        (replace("content", lambda content: content[:1]), ["content", "fingerprint"]),
        (replace("format", "avro"), ["content"]),
        (replace("fingerprint", "0" * 64), ["fingerprint"]),
        (replace("received_at", "2020-01-01T00:00:00Z"), ["time"]),
        (replace("received_at", "yesterday"), ["time"]),
        (
            replace("request.signature_base", "rubbish"),
            ["signature", "signature_base", "key_id", "content_digest", "request", "time"],
        ),
    ],
)
def test_each_broken_part_is_named(
    key: PrivateKey, change: Callable[[dict[str, Any]], None], expected: list[str]
) -> None:
    receipt = copy.deepcopy(make_receipt(key))
    change(receipt)
    assert failures(receipt) == expected
    with pytest.raises(VerificationError, match=expected[0]):
        verify_receipt(receipt).raise_for_failures()


@pytest.mark.parametrize("missing", ["@method", "@target-uri", "content-digest"])
def test_a_signature_over_too_little_is_no_proof(key: PrivateKey, missing: str) -> None:
    receipt = make_receipt(key, components=tuple(name for name in COMPONENTS if name != missing))
    assert "signature_base" in failures(receipt)


def test_a_request_that_writes_nothing_is_no_proof(key: PrivateKey) -> None:
    assert failures(make_receipt(key, method="DELETE")) == ["request"]
    assert failures(make_receipt(key, url="https://datafold.example/api/v1/auth/test")) == ["request"]


@pytest.mark.parametrize("below", ["", "/compatibility", "/versions/1/validate", "/versions/1/validate-file"])
def test_what_was_only_tried_is_no_proof_that_it_was_written(key: PrivateKey, below: str) -> None:
    """A check of compatibility is signed over the very body that would write the version."""
    url = f"https://datafold.example/api/v1/schemas/user_events{below}"
    assert failures(make_receipt(key, url=url, body={"fields": FIELDS})) == ["request"]


def test_the_lines_must_be_those_that_the_parameters_list(key: PrivateKey) -> None:
    """A base whose parameters list less than its lines, signed as it stands by the key itself."""
    receipt = make_receipt(key)
    base = receipt["request"]["signature_base"].replace('("@method" "@target-uri"', '("@method"')
    receipt["request"]["signature_base"] = base
    receipt["request"]["signature"] = b64encode(key.key.sign(base.encode())).decode()  # type: ignore[call-arg]
    assert failures(receipt) == ["signature_base"]


def test_avro_is_bound_by_its_body_and_says_what_it_leaves_out(key: PrivateKey) -> None:
    content = {"type": "record", "name": "R", "fields": []}
    receipt = make_receipt(key, body={"name": "user_events", "format": "avro", "content": content})
    receipt |= {"format": "avro", "content": content, "fingerprint": "whatever"}
    result = verify_receipt(receipt)
    assert result.valid
    assert [check.name for check in result.checks if check.passed is None] == ["fingerprint"]


@pytest.mark.parametrize(
    "receipt",
    [
        {},
        {"request": None},
        {"request": {"signature_base": 7}, "key": []},
        {"data": {"request": {}}},
        {"request": {"signature_base": '"a"' + ";a" * 50_000}, "key": {"jwk": {"kty": "OKP"}}},
        {"request": {"signature_base": '"@signature-params": ' + "(" * 60_000}},
        {"request": {"signature_base": '"@signature-params": ("a");created=99999999999999;keyid="x"'}},
        {"request": {"body": b64encode(b"[" * 200_000).decode()}, "content": [[]]},
    ],
)
def test_rubbish_fails_its_checks_and_nothing_else(receipt: Any) -> None:
    started = time.perf_counter()
    result = verify_receipt(receipt)
    assert not result.valid
    assert json.dumps(result.to_dict())
    assert time.perf_counter() - started < 2


def test_the_label_of_the_receipt_may_be_any(key: PrivateKey) -> None:
    receipt = make_receipt(key)
    receipt["request"]["label"] = "dat-1"
    assert verify_receipt(receipt).valid
