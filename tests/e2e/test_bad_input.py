"""What bad input gets, over real HTTP: a 4xx with a code, and nothing half written."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.server import DataFoldServer
from tests.support.signing import Signer
from tests.support.wire import Caller, assert_granted, assert_refused

REGISTER = "/api/v1/crypto/keys/register"
IDENTITY_POINT = "01" + "00" * 31
PRIME = 2**255 - 19


def little_endian(number: int) -> str:
    return number.to_bytes(32, "little").hex()


BAD_KEYS = {
    "not hexadecimal": "zz" * 32,
    "63 characters": "a" * 63,
    "31 bytes": "ab" * 31,
    "33 bytes": "ab" * 33,
    "empty": "",
    "a number": 7,
    "a list": ["ab" * 32],
    "null": None,
    "not on the curve": "02" + "00" * 31,
    "the identity": IDENTITY_POINT,
    "order two": little_endian(PRIME - 1),
    "order four": "00" * 32,
    "order eight": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "not canonical, zero": little_endian(PRIME),
    "not canonical, identity": little_endian(PRIME + 1),
    "not canonical, sign of zero": "01" + "00" * 30 + "80",
    "a private key": {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    },
    "no PEM": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
}


@pytest.mark.parametrize("public_key", BAD_KEYS.values(), ids=BAD_KEYS.keys())
def test_a_public_key_that_is_none_is_refused(
    caller: Caller, unique: Callable[[str], str], public_key: Any
) -> None:
    client_id = unique("bad-key")
    response = caller.http.post(REGISTER, json={"client_id": client_id, "public_key": public_key})
    assert response.status_code == 422, response.text
    assert response.json()["error"]["code"] in (
        "INVALID_PUBLIC_KEY",
        "VALIDATION_FAILED",
        "INVALID_PRIVATE_KEY",
    )
    assert caller.http.get(f"/api/v1/crypto/keys/status/{client_id}").status_code == 404


def test_a_key_is_registered_once_ever(
    datafold_server: DataFoldServer, caller: Caller, unique: Callable[[str], str]
) -> None:
    signer = Signer(unique("once"))
    assert_granted(caller.register(signer))
    again = Signer(unique("again"), signer.private_key)
    assert_refused(caller.register(again), 409, "DUPLICATE_PUBLIC_KEY")
    datafold_server.manage("revoke_key", signer.key_id, "--reason", "tested")
    assert_refused(caller.register(again), 409, "DUPLICATE_PUBLIC_KEY")


def test_a_taken_client_id_says_how_to_rotate(caller: Caller, unique: Callable[[str], str]) -> None:
    name = unique("taken")
    assert_granted(caller.register(Signer(name)))
    error = assert_refused(caller.register(Signer(name)), 409, "CLIENT_ALREADY_REGISTERED")
    assert "rotate" in error["message"]


def test_metadata_over_its_limits_lists_every_problem(caller: Caller, unique: Callable[[str], str]) -> None:
    metadata: dict[str, Any] = {f"k{number}": "x" for number in range(11)}
    metadata["k1"] = "y" * 300
    metadata["k2"] = {"nested": True}
    response = caller.register(Signer(unique("metadata")), metadata=metadata)
    error = assert_refused(response, 422, "INVALID_METADATA")
    assert len(error["details"]["problems"]) == 3


@pytest.mark.parametrize("client_id", ["", "a b", "a/b", "é", "x" * 65, "a\x00b", "../etc", 7, ["a"]])
def test_a_client_id_that_is_none_is_refused(caller: Caller, client_id: Any) -> None:
    response = caller.http.post(REGISTER, json={"client_id": client_id, "public_key": Signer().public_hex})
    assert_refused(response, 422, "VALIDATION_FAILED")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"{", "MALFORMED_JSON"),
        (b"", "MALFORMED_JSON"),
        (b"\xff\xfe{}", "MALFORMED_JSON"),
        (b'{"a": NaN}', "MALFORMED_JSON"),
        (b'{"a": 1, "a": 2}', "MALFORMED_JSON"),
        (b"[" * 100_000, "MALFORMED_JSON"),
        (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, "MALFORMED_JSON"),
        (b"9" * 5_000, "MALFORMED_JSON"),
        (b"[]", "VALIDATION_FAILED"),
        (b'"text"', "VALIDATION_FAILED"),
        (b"null", "VALIDATION_FAILED"),
        (b"{}", "VALIDATION_FAILED"),
    ],
)
def test_a_body_that_is_no_object_of_json_is_refused(caller: Caller, content: bytes, code: str) -> None:
    response = caller.http.post(REGISTER, content=content, headers={"Content-Type": "application/json"})
    assert response.status_code in (400, 422), response.text
    assert response.json()["error"]["code"] in (code, "VALIDATION_FAILED")


def test_another_media_type_is_refused(caller: Caller) -> None:
    response = caller.http.post(
        REGISTER, content=b"a=b", headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert_refused(response, 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    "members",
    [
        {"fields": [{"name": "a", "type": "strnig"}]},
        {"fields": [{"name": "a", "type": "string"}, {"name": "a", "type": "integer"}]},
        {"fields": [{"name": "a\u0000b", "type": "string"}]},
        {"fields": [{"name": "a", "type": "string", "required": "yes"}]},
        {"fields": [{"name": "a", "type": "string", "minimum": 3}]},
        {"fields": [{"name": f"f{number}", "type": "string"} for number in range(10_000)]},
        {"fields": "a"},
        {"fields": [7]},
        {"name": "", "fields": []},
        {"name": "x" * 101, "fields": [{"name": "a", "type": "string"}]},
        {"name": "tab\tname", "fields": [{"name": "a", "type": "string"}]},
        {"name": 7, "fields": [{"name": "a", "type": "string"}]},
    ],
    ids=lambda members: json.dumps(members)[:60],
)
def test_a_schema_that_is_none_is_refused(
    caller: Caller, active_signer: Signer, unique: Callable[[str], str], members: dict[str, Any]
) -> None:
    name = unique("bad-schema")
    response = caller.signed(active_signer, "POST", "/api/v1/schemas", {"name": name, **members})
    assert response.status_code in (400, 422), response.text
    error = response.json()["error"]
    assert error["code"] in ("SCHEMA_INVALID", "VALIDATION_FAILED", "SCHEMA_TOO_COMPLEX")
    assert error["message"]
    assert caller.signed(active_signer, "GET", f"/api/v1/schemas/{name}").status_code == 404


def test_unknown_paths_and_methods_answer_in_the_envelope(caller: Caller) -> None:
    assert_refused(caller.http.get("/api/v1/no/such/thing"), 404, "NOT_FOUND")
    assert_refused(caller.http.get("/nothing"), 404, "NOT_FOUND")
    response = caller.http.put(REGISTER, json={})
    assert_refused(response, 405, "METHOD_NOT_ALLOWED")
    assert "POST" in response.headers["Allow"]


def test_a_request_id_is_taken_over_only_when_well_formed(caller: Caller) -> None:
    given = caller.http.get("/api/v1/system/status", headers={"X-Request-ID": "my-request-0001"})
    assert given.headers["X-Request-ID"] == "my-request-0001"
    assert given.json()["meta"]["request_id"] == "my-request-0001"
    for bad in ("x", "a" * 65, "a b c d e f g h", '<script>"'):
        made = caller.http.get("/api/v1/system/status", headers={"X-Request-ID": bad})
        assert made.headers["X-Request-ID"] != bad


@pytest.mark.parametrize(
    ("signature_input", "signature", "code"),
    [
        ("sig1=(", "sig1=:AA==:", "SIGNATURE_MALFORMED"),
        ("sig1=();created=1", "sig2=:AA==:", "SIGNATURE_MALFORMED"),
        ("sig1=()", "sig1=nonsense", "SIGNATURE_MALFORMED"),
        ('a=();tag="datafold", b=();tag="datafold"', "a=:AA==:, b=:AA==:", "SIGNATURE_AMBIGUOUS"),
        ("sig1=(" + '"x" ' * 1_900 + ")", "sig1=:AA==:", "SIGNATURE_TOO_LARGE"),
    ],
)
def test_signature_fields_that_make_no_sense_are_refused(
    caller: Caller, signature_input: str, signature: str, code: str
) -> None:
    headers = {"Signature-Input": signature_input, "Signature": signature}
    assert_refused(caller.http.get("/api/v1/auth/me", headers=headers), 400, code)


def test_an_unknown_client_is_told_so(caller: Caller) -> None:
    assert_refused(
        caller.signed(Signer("nobody-knows-me"), "GET", "/api/v1/auth/me"), 401, "CLIENT_NOT_FOUND"
    )
