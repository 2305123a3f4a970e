"""Every answer has the envelope: DRF's, Django's own, the middleware's."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import get_resolver

from keys.httpsig import SignatureError
from project.api.catalogue import CATALOGUE, error_docs
from project.errors import DomainError
from tests.support.client import ORIGIN, SignedClient, WireClient
from tests.support.signing import Signer
from tests.support.stack import PROJECT

pytestmark = pytest.mark.django_db


def assert_envelope(answer: Any, *, status: int, code: str = "") -> dict[str, Any]:
    assert answer.status_code == status, answer.content[:500]
    body: dict[str, Any] = answer.json()
    assert list(body) == ["success", "data", "error", "meta"]
    assert body["meta"]["request_id"] == answer["X-Request-ID"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", body["meta"]["timestamp"])
    if code:
        assert body["success"] is False
        assert body["data"] is None
        assert body["error"]["code"] == code
        assert body["error"]["status"] == status
        assert body["error"]["message"]
        assert isinstance(body["error"]["details"], dict)
        assert "path" in body["meta"]
        assert code in CATALOGUE, "every code is documented with cause and cure"
    else:
        assert body["success"] is True
        assert body["error"] is None
    return body


@pytest.mark.parametrize(
    "path",
    ["/api/v1/system/status", "/api/v1/auth/status", "/health/", "/health/live", "/health/ready", "/"],
)
@pytest.mark.parametrize("slash", ["", "/"])
def test_success(client: WireClient, path: str, slash: str) -> None:
    assert_envelope(client.get(path.rstrip("/") + slash or "/"), status=200)


def test_api_without_a_version_is_the_current_one(client: WireClient) -> None:
    versioned = assert_envelope(client.get("/api/v1/system/status"), status=200)["data"]
    current = assert_envelope(client.get("/api/system/status"), status=200)["data"]
    assert versioned.keys() == current.keys()
    assert versioned["version"] == current["version"]


@pytest.mark.parametrize("path", ["/nothing", "/api/nothing", "/api/v1/nothing/", "/api/v2/schemas", "/é"])
def test_unknown_paths(client: WireClient, path: str) -> None:
    assert_envelope(client.get(path), status=404, code="NOT_FOUND")


def test_wrong_methods_name_the_right_ones(client: WireClient) -> None:
    answer = client.delete("/api/v1/system/status")
    assert_envelope(answer, status=405, code="METHOD_NOT_ALLOWED")
    assert "GET" in answer["Allow"]


def test_a_failure_of_the_server_itself(
    client: WireClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from project.api import system

    def fail(*args: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(system.SystemStatusView, "get", fail)
    client.raise_request_exception = False
    answer = client.get("/api/v1/system/status")
    assert_envelope(answer, status=500, code="INTERNAL_ERROR")
    assert b"secret detail" not in answer.content
    assert "secret detail" in caplog.text, "the operators read the cause in the log"


def test_an_unsigned_call_is_told_what_to_sign(client: WireClient) -> None:
    answer = client.post("/api/v1/auth/test", json.dumps({"a": 1}), content_type="application/json")
    assert_envelope(answer, status=401, code="SIGNATURE_MISSING")
    assert answer["WWW-Authenticate"] == "Signature"
    for component in (
        '"@method"',
        '"@target-uri"',
        '"content-digest"',
        '"content-type"',
        "created",
        'tag="datafold"',
    ):
        assert component in answer["Accept-Signature"]


def test_a_refused_digest_says_which_it_wants() -> None:
    signer = Signer("nobody")
    signed = signer.sign(
        "POST", ORIGIN + "/api/v1/crypto/keys/register", json_body={"public_key": signer.public_hex}
    )
    signed.content += b" "
    answer = WireClient().send(signed)
    assert_envelope(answer, status=401, code="DIGEST_MISMATCH")
    assert answer["Want-Content-Digest"].startswith("sha-256")


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("order-7.1_a", True),
        ("x" * 64, True),
        ("short", False),
        ("x" * 65, False),
        ("with space", False),
        ("line\tbreak1", False),
    ],
)
def test_request_ids_are_taken_over_when_well_formed(client: WireClient, given: str, taken: bool) -> None:
    answer = client.get("/health/live", headers={"X-Request-ID": given})
    assert (answer["X-Request-ID"] == given) is taken
    assert_envelope(answer, status=200)


def test_a_foreign_host_is_refused(client: WireClient) -> None:
    answer = client.get("/api/v1/schemas", headers={"Host": "evil.example"})
    assert answer.status_code in (400, 401)
    assert answer.json()["success"] is False


def test_whoever_signs_is_known(signed_client: SignedClient) -> None:
    data = assert_envelope(signed_client.call("GET", "/api/v1/auth/me"), status=200)["data"]
    assert data["client_id"] == "signed-client"
    assert data["is_authenticated"] is True
    assert data["signature"]["valid"] is True
    assert data["signature"]["components"] == ["@method", "@target-uri"]
    status = signed_client.call("GET", "/api/auth/status").json()["data"]
    assert status["is_authenticated"] is True
    assert status["authentication_method"] == "signature"


def test_the_log_has_one_line_for_start_and_end(
    signed_client: SignedClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "datafold.access"):
        signed_client.call("GET", "/api/v1/auth/me?token=very-secret")
        WireClient().get("/api/v1/auth/me")
    signed, refused = [record for record in caplog.records if record.message == "request ended"]
    assert [record.message for record in caplog.records if record.name == "datafold.access"] == [
        "request started",
        "request ended",
    ] * 2
    facts = vars(signed)
    assert (facts["method"], facts["path"], facts["status"]) == ("GET", "/api/v1/auth/me", 200)
    assert facts["client_id"] == "signed-client"
    assert facts["duration_ms"] > 0
    assert len(facts["key"]) == 8
    assert vars(refused)["error_code"] == "SIGNATURE_MISSING"
    assert "very-secret" not in caplog.text


def test_documents_are_served_from_here(client: WireClient) -> None:
    for path in ("/docs", "/redoc"):
        page = client.get(path)
        assert page.status_code == 200
        assert not re.search(rb'(src|href)="(https?:)?//(?!testserver)', page.content), (
            "nothing from elsewhere"
        )
    document = client.get("/openapi.json", headers={"Accept": "application/json"}).json()
    assert "/api/v1/crypto/keys/register" in document["paths"]
    assert "HTTPMessageSignature" in document["components"]["securitySchemes"]


def _below(error: type[Exception]) -> Iterator[type[Exception]]:
    for each in error.__subclasses__():
        yield each
        yield from _below(each)


def test_every_refusal_is_in_the_catalogue() -> None:
    get_resolver().url_patterns  # noqa: B018  whatever refuses is imported by now
    codes = {error.__dict__.get("code") for tree in (SignatureError, DomainError) for error in _below(tree)}
    assert len(codes) > 50
    assert codes - set(CATALOGUE) - {None} == set()


def test_the_page_of_error_codes_is_up_to_date() -> None:
    written = (PROJECT / "docs" / "errors.md").read_text()
    assert written == error_docs(), "run `manage.py write_error_docs`"
