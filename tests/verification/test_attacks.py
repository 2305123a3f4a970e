"""What an attacker on the wire can try, against a running server."""

from __future__ import annotations

import http.client
import json

import pytest

from tests.support.server import DataFoldServer
from tests.support.signing import SignedRequest, Signer, content_digest
from tests.verification.server_clients import add_clients, decide
from tests.verification.wire import me, send

NAMES = ("holder", "burned", "pending", "revoked", "suspended", "key-suspended")


@pytest.fixture(scope="module")
def signers(datafold_server: DataFoldServer) -> dict[str, Signer]:
    signers = add_clients(datafold_server, *(f"attack-{name}" for name in NAMES if name != "pending"))
    signers |= add_clients(datafold_server, "attack-pending", approve=False)
    decide(
        datafold_server,
        "lifecycle.revoke(key('attack-revoked'), actor=actor, revocation_reason='keyCompromise', reason='test')",
        "lifecycle.suspend(key('attack-key-suspended'), actor=actor, reason='test')",
        "suspend_client(client('attack-suspended'), actor=actor, reason='unpaid bill 4711')",
    )
    return {name.removeprefix("attack-"): signer for name, signer in signers.items()}


# --- Nonces -------------------------------------------------------------------------------------------


def test_a_wrong_signature_does_not_burn_the_nonce(
    datafold_server: DataFoldServer, signers: dict[str, Signer]
) -> None:
    signer, nonce = signers["burned"], "a-nonce-that-somebody-tries-to-burn"
    stranger = Signer(signer.key_id)
    for _ in range(3):
        assert send(datafold_server, me(datafold_server, stranger, nonce=nonce)).status == 401
    assert send(datafold_server, me(datafold_server, signer, nonce=nonce)).status == 200
    assert send(datafold_server, me(datafold_server, signer, nonce=nonce)).code == "NONCE_REUSED"


def test_a_tampered_request_does_not_burn_the_nonce(
    datafold_server: DataFoldServer, signers: dict[str, Signer]
) -> None:
    signed = me(datafold_server, signers["burned"])
    assert send(datafold_server, signed, target="/api/v1/auth/me?added=1").status == 401
    assert send(datafold_server, signed).status == 200


def test_a_body_that_was_changed_does_not_burn_the_nonce(
    datafold_server: DataFoldServer, signers: dict[str, Signer]
) -> None:
    url = f"{datafold_server.base_url}/api/v1/auth/test"
    signed = signers["burned"].sign("POST", url, json_body={"a": 1})
    content, signed.content = signed.content, b'{"a": 2}'
    refused = send(datafold_server, signed)
    assert refused.code == "DIGEST_MISMATCH"
    assert refused.fields["Want-Content-Digest"].startswith("sha-256=")
    signed.content = content
    assert send(datafold_server, signed).status == 200


def test_the_same_signature_under_another_nonce_is_no_other_signature(
    datafold_server: DataFoldServer, signers: dict[str, Signer]
) -> None:
    signed = me(datafold_server, signers["burned"], nonce="first-nonce-0001")
    assert send(datafold_server, signed).status == 200
    field = signed.headers["Signature-Input"].replace("first-nonce-0001", "other-nonce-0002")
    signed.headers["Signature-Input"] = field
    assert send(datafold_server, signed).code == "SIGNATURE_VERIFICATION_FAILED"


# --- The state of a key is its holder's business ------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("pending", 403, "KEY_NOT_ACTIVE"),
        ("revoked", 403, "KEY_REVOKED"),
        ("suspended", 403, "CLIENT_SUSPENDED"),
        ("key-suspended", 403, "KEY_NOT_ACTIVE"),
    ],
)
def test_only_the_holder_is_told_the_state(
    datafold_server: DataFoldServer, signers: dict[str, Signer], name: str, status: int, code: str
) -> None:
    holder = signers[name]
    told = send(datafold_server, me(datafold_server, holder))
    assert (told.status, told.code) == (status, code)

    stranger = Signer(holder.key_id)
    refused = send(datafold_server, me(datafold_server, stranger))
    assert (refused.status, refused.code) == (401, "SIGNATURE_VERIFICATION_FAILED")
    of_active = send(datafold_server, me(datafold_server, Signer(signers["holder"].key_id)))
    assert set(refused.details) == set(of_active.details), "no detail gives the state away"
    assert "unpaid bill" not in json.dumps(refused.body)

    inspected = inspect(datafold_server, me(datafold_server, stranger))
    assert checks(inspected)["standing"]["ok"] is None
    assert code not in json.dumps(inspected)


def test_the_holder_sees_the_state_in_an_inspection(
    datafold_server: DataFoldServer, signers: dict[str, Signer]
) -> None:
    inspected = inspect(datafold_server, me(datafold_server, signers["revoked"]))
    assert checks(inspected)["signature"]["ok"] is True
    assert checks(inspected)["standing"]["code"] == "KEY_REVOKED"
    assert inspected["verified"] is False


def test_a_captured_signature_that_is_old_does_not_reveal_the_state(
    datafold_server: DataFoldServer, signers: dict[str, Signer]
) -> None:
    from datetime import UTC, datetime, timedelta

    old = me(datafold_server, signers["revoked"], created=datetime.now(UTC) - timedelta(hours=1))
    assert send(datafold_server, old).code == "SIGNATURE_EXPIRED"
    assert checks(inspect(datafold_server, old))["standing"]["ok"] is None


# --- Host, port, case, method, forwarding ---------------------------------------------------------------------


@pytest.mark.parametrize("host", ["{port}", "LOCALHOST:{port}", "LocalHost:{port}"])
def test_the_case_of_the_host_does_not_matter_and_its_value_does(
    datafold_server: DataFoldServer, signers: dict[str, Signer], host: str
) -> None:
    """RFC 9421 §2.2.3: the authority is signed in lower case, whatever the Host looks like."""
    port = datafold_server.port
    signed = signers["holder"].sign("GET", f"http://localhost:{port}/api/v1/auth/me")
    answer = send(datafold_server, signed, host=host.format(port=port))
    assert answer.status == (200 if "ost" in host.lower() else 400)


def test_another_allowed_host_than_the_signed_one_is_refused(
    datafold_server: DataFoldServer, signers: dict[str, Signer]
) -> None:
    signed = me(datafold_server, signers["holder"])
    assert send(datafold_server, signed, host=f"localhost:{datafold_server.port}").status == 401


def test_the_default_port_is_no_part_of_the_authority(
    datafold_server: DataFoldServer, signers: dict[str, Signer]
) -> None:
    signed = signers["holder"].sign("GET", "http://127.0.0.1/api/v1/auth/me")
    assert send(datafold_server, signed, host="127.0.0.1:80").status == 200
    signed = signers["holder"].sign("GET", "http://127.0.0.1/api/v1/auth/me")
    assert send(datafold_server, signed, host="127.0.0.1:443").status == 401


@pytest.mark.parametrize(
    "forwarded",
    [
        {"X_Forwarded_Host": "testserver", "X_Forwarded_Proto": "https"},
        {"X_Forwarded_For": "10.0.0.1", "Forwarded": "for=10.0.0.1;host=testserver;proto=https"},
        {"X_Forwarded_Prefix": "/elsewhere", "X_Original_URL": "/api/v1/auth/status"},
        {"X_Rewrite_URL": "/api/v1/auth/status", "X_Forwarded_Port": "443"},
    ],
)
def test_forwarding_fields_from_anybody_are_ignored(
    datafold_server: DataFoldServer, signers: dict[str, Signer], forwarded: dict[str, str]
) -> None:
    assert send(datafold_server, me(datafold_server, signers["holder"]), **forwarded).status == 200


@pytest.mark.parametrize("field", ["X_HTTP_Method_Override", "X_HTTP_Method", "X_Method_Override"])
def test_a_method_override_is_ignored(
    datafold_server: DataFoldServer, signers: dict[str, Signer], field: str
) -> None:
    url = f"{datafold_server.base_url}/api/v1/crypto/keys/revoke/attack-holder"
    signed = signers["holder"].sign("POST", url, json_body={"reason": "unspecified"})
    answer = send(datafold_server, signed, **{field: "DELETE"})
    assert (answer.status, answer.code) == (405, "METHOD_NOT_ALLOWED")
    assert send(datafold_server, me(datafold_server, signers["holder"])).status == 200


@pytest.mark.parametrize(
    "target", ["//api/v1/auth/me", "/api/v1/./auth/me", "/api/v1/x/../auth/me", "/api/v1/%61uth/me"]
)
def test_a_path_that_only_means_the_same_is_not_what_was_signed(
    datafold_server: DataFoldServer, signers: dict[str, Signer], target: str
) -> None:
    answer = send(datafold_server, me(datafold_server, signers["holder"]), target=target)
    assert answer.status in (401, 404)
    assert answer.body["success"] is False


def test_a_field_with_an_underscore_is_not_its_namesake(
    datafold_server: DataFoldServer, signers: dict[str, Signer]
) -> None:
    signed = me(datafold_server, signers["holder"])
    connection = http.client.HTTPConnection("127.0.0.1", datafold_server.port, timeout=30)
    fields = {name.replace("-", "_"): value for name, value in signed.headers.items()}
    connection.request("GET", "/api/v1/auth/me", headers=fields)
    answer = json.loads(connection.getresponse().read())
    assert answer["error"]["code"] in ("SIGNATURE_MISSING", "SIGNATURE_MALFORMED")


def test_half_a_signature_is_a_claim_and_not_anonymous(datafold_server: DataFoldServer) -> None:
    for field in ({"Signature": "sig1=:AAAA:"}, {"Signature-Input": 'sig1=("@method");created=1;keyid="x"'}):
        signed = SignedRequest("GET", f"{datafold_server.base_url}/api/v1/auth/status", dict(field))
        refused = send(datafold_server, signed)
        assert refused.status in (400, 401)
        assert refused.code.startswith("SIGNATURE_")


def test_a_body_in_chunks_is_refused_and_not_taken_for_empty(
    datafold_server: DataFoldServer, signers: dict[str, Signer]
) -> None:
    url = f"{datafold_server.base_url}/api/v1/auth/test"
    signed = signers["holder"].sign("POST", url, content=b"", headers={"Content-Digest": content_digest(b"")})
    connection = http.client.HTTPConnection("127.0.0.1", datafold_server.port, timeout=30)
    connection.request("POST", "/api/v1/auth/test", iter([b"smuggled"]), signed.headers, encode_chunked=True)
    response = connection.getresponse()
    assert response.status == 411
    assert json.loads(response.read())["error"]["code"] == "LENGTH_REQUIRED"


def test_the_alias_without_a_version_is_another_target(
    datafold_server: DataFoldServer, signers: dict[str, Signer]
) -> None:
    signed = me(datafold_server, signers["holder"])
    assert send(datafold_server, signed, target="/api/auth/me").status == 401


# --- Helpers --------------------------------------------------------------------------------------------------


def inspect(server: DataFoldServer, signed: SignedRequest) -> dict[str, object]:
    wish = {"method": signed.method, "url": signed.url, "headers": signed.headers}
    answer = send(
        server,
        SignedRequest(
            "POST",
            f"{server.base_url}/api/v1/signatures/inspect",
            {"Content-Type": "application/json"},
            json.dumps(wish).encode(),
        ),
    )
    assert answer.status == 200, answer.body
    found: dict[str, object] = answer.body["data"]
    return found


def checks(inspected: dict[str, object]) -> dict[str, dict[str, object]]:
    return {check["name"]: check for check in inspected["checks"]}  # type: ignore[attr-defined]
