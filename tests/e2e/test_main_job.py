"""The main job, end to end, by a client that shares no code with us: from a key to a schema and back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import http_sf
import pytest

from tests.support.server import DataFoldServer
from tests.support.signing import Signer
from tests.support.wire import Caller, assert_granted, assert_refused

FIELDS = [
    {"name": "user_id", "type": "string", "required": True},
    {"name": "event_type", "type": "enum", "required": True, "values": ["opened", "closed"]},
    {"name": "at", "type": "datetime", "required": True, "description": "when it happened"},
]


def test_register_approve_sign_write_revoke(
    datafold_server: DataFoldServer, caller: Caller, unique: Callable[[str], str]
) -> None:
    signer = Signer(unique("main-job"))
    schema = unique("user-events")

    registered = assert_granted(caller.register(signer, key_name="the main job", metadata={"team": "events"}))
    data = registered["data"]
    assert data["client_id"] == signer.key_id
    assert data["status"] == "pending"
    assert data["algorithm"] == "ed25519"
    assert data["public_key"] == signer.public_hex
    assert data["key_name"] == "the main job"
    assert data["metadata"] == {"team": "events"}
    assert {"registration_id", "thumbprint", "registered_at", "expires_at"} <= data.keys()

    refused = assert_refused(caller.signed(signer, "GET", "/api/v1/auth/me"), 403, "KEY_NOT_ACTIVE")
    assert refused["details"]["status"] == "pending"

    datafold_server.manage("approve_key", signer.key_id, "--reason", "known to us")

    me = assert_granted(caller.signed(signer, "GET", "/api/v1/auth/me"))["data"]
    assert me["client_id"] == signer.key_id
    assert me["is_authenticated"] is True
    assert me["signature"]["valid"] is True
    assert me["signature"]["algorithm"] == "ed25519"
    assert me["signature"]["components"] == ["@method", "@target-uri"]
    assert me["signature"]["key_id"] == signer.key_id

    written = assert_granted(
        caller.signed(signer, "POST", "/api/v1/schemas", {"name": schema, "fields": FIELDS}), 201
    )
    assert written["data"]["name"] == schema
    assert written["data"]["version"] == "1.0.0"
    assert written["meta"]["created_by"] == signer.key_id

    listed = assert_granted(caller.signed(signer, "GET", "/api/v1/schemas?limit=200"))
    assert schema in [item["name"] for item in listed["data"]]
    assert listed["meta"]["count"] == len(listed["data"])

    for prefix in ("/api", "/api/v1"):
        read = assert_granted(caller.signed(signer, "GET", f"{prefix}/schemas/{schema}"))["data"]
        assert [field["name"] for field in read["fields"]] == ["user_id", "event_type", "at"]

    deleted = assert_granted(caller.signed(signer, "DELETE", f"/api/v1/schemas/{schema}"))
    assert deleted["meta"]["deleted_by"] == signer.key_id
    assert_refused(caller.signed(signer, "GET", f"/api/v1/schemas/{schema}"), 404, "SCHEMA_NOT_FOUND")

    datafold_server.manage("revoke_key", signer.key_id, "--reason", "the machine is gone")
    for _ in range(8):  # every worker and thread, from the very next request on
        assert_refused(caller.signed(signer, "GET", "/api/v1/auth/me"), 403, "KEY_REVOKED")


def test_a_replayed_request_is_refused(caller: Caller, active_signer: Signer) -> None:
    signed = caller.prepare(active_signer, "GET", "/api/v1/auth/me")
    assert_granted(caller.send(signed))
    for _ in range(4):
        assert_refused(caller.send(signed), 401, "NONCE_REUSED")


def test_an_unsigned_request_is_told_what_to_sign(caller: Caller) -> None:
    response = caller.http.get("/api/v1/auth/me")
    assert_refused(response, 401, "SIGNATURE_MISSING")
    assert response.headers["WWW-Authenticate"].startswith("Signature")
    assert demanded(response.headers["Accept-Signature"]) == {"@method", "@target-uri"}

    with_body = caller.http.post("/api/v1/schemas", json={"name": "x", "fields": []})
    assert_refused(with_body, 401, "SIGNATURE_MISSING")
    assert demanded(with_body.headers["Accept-Signature"]) == {
        "@method",
        "@target-uri",
        "content-digest",
        "content-type",
    }


def demanded(accept_signature: str) -> set[str]:
    """The components that the one signature of an Accept-Signature field asks for."""
    parsed: Any = http_sf.parse(accept_signature.encode(), tltype="dictionary")
    ((components, _),) = parsed.values()
    return {name for name, _ in components}


def test_what_somebody_changes_on_the_way_is_noticed(
    caller: Caller, active_signer: Signer, unique: Callable[[str], str]
) -> None:
    name = unique("never-written")
    written = caller.prepare(active_signer, "POST", "/api/v1/schemas", {"name": name, "fields": FIELDS})
    changed = json.dumps({"name": name, "fields": FIELDS[:1]}).encode()
    assert_refused(caller.send(dataclasses.replace(written, content=changed)), 401, "DIGEST_MISMATCH")

    read = caller.prepare(active_signer, "GET", "/api/v1/schemas?limit=1")
    moved = dataclasses.replace(read, url=read.url.replace("limit=1", "limit=100"))
    assert_refused(caller.send(moved), 401, "SIGNATURE_VERIFICATION_FAILED")

    # The nonces were not spent by the forgeries: what was really signed still passes.
    assert_granted(caller.send(read))
    assert_granted(caller.send(written), 201)


@pytest.mark.parametrize(
    "covered", [("@method",), ("@target-uri",), ("@method", "@path"), ("@method", "@authority")]
)
def test_a_signature_over_too_little_is_refused(
    caller: Caller, active_signer: Signer, covered: tuple[str, ...]
) -> None:
    response = caller.signed(active_signer, "GET", "/api/v1/auth/me", covered=covered)
    error = assert_refused(response, 401, "COMPONENT_NOT_COVERED")
    assert error["details"]["missing"]


def test_a_body_that_the_signature_leaves_out_is_refused(caller: Caller, active_signer: Signer) -> None:
    response = caller.signed(
        active_signer, "POST", "/api/v1/auth/test", {"a": 1}, covered=("@method", "@target-uri")
    )
    assert_refused(response, 401, "COMPONENT_NOT_COVERED")


@pytest.mark.parametrize(
    ("shift", "code"),
    [(timedelta(hours=-1), "SIGNATURE_EXPIRED"), (timedelta(hours=1), "TIMESTAMP_IN_FUTURE")],
)
def test_a_signature_of_another_time_is_refused(
    caller: Caller, active_signer: Signer, shift: timedelta, code: str
) -> None:
    response = caller.signed(active_signer, "GET", "/api/v1/auth/me", created=datetime.now(UTC) + shift)
    assert_refused(response, 401, code)


def test_only_the_holder_learns_that_a_key_waits(caller: Caller, unique: Callable[[str], str]) -> None:
    waiting = Signer(unique("waiting"))
    assert_granted(caller.register(waiting))
    stranger = Signer(waiting.key_id)
    response = caller.signed(stranger, "GET", "/api/v1/auth/me")
    assert_refused(response, 401, "SIGNATURE_VERIFICATION_FAILED")
    assert "pending" not in response.text


def test_keyid_may_be_the_thumbprint(caller: Caller, active_signer: Signer) -> None:
    status = assert_granted(
        caller.signed(active_signer, "GET", f"/api/v1/crypto/keys/status/{active_signer.key_id}")
    )
    by_thumbprint = Signer(status["data"]["thumbprint"], active_signer.private_key)
    me = assert_granted(caller.signed(by_thumbprint, "GET", "/api/v1/auth/me"))["data"]
    assert me["client_id"] == active_signer.key_id
