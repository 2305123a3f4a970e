"""A refusal tells cause and cure; an inspection shows every step."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django import Settings

from accounts.audit import Actor
from keys import explanation, lifecycle
from keys.models import Key
from keys.unknown import Budget
from tests.support.client import ORIGIN, WireClient
from tests.support.registered import register_active, register_pending
from tests.support.signing import SignedRequest, Signer, content_digest

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explanation, "_searches", Budget(per_second=5, burst=20))


@pytest.fixture
def signer(db: None) -> Signer:
    return register_active("asks-for-help")


def me(signer: Signer, **signing: Any) -> SignedRequest:
    return signer.sign("GET", f"{ORIGIN}/api/v1/auth/me", **signing)


def error(response: Any) -> dict[str, Any]:
    found: dict[str, Any] = response.json()["error"]
    return found


# --- Refusals -------------------------------------------------------------------------------------------


def test_the_line_that_differs_can_be_found_by_its_hash(client: WireClient, signer: Signer) -> None:
    signed = signer.sign(
        "GET",
        f"{ORIGIN}/api/v1/auth/me",
        headers={"X-Amount": "1"},
        covered=("@method", "@target-uri", "x-amount"),
    )
    signed.headers["X-Amount"] = "2"
    details = error(client.send(signed))["details"]
    mine = {'"@method"': '"@method": GET', '"x-amount"': '"x-amount": 1'}
    theirs = {line["component"]: line["sha256"] for line in details["lines"]}
    assert theirs['"@method"'] == hashlib.sha256(mine['"@method"'].encode()).hexdigest()
    assert theirs['"x-amount"'] != hashlib.sha256(mine['"x-amount"'].encode()).hexdigest()
    assert len(details["base_sha256"]) == 64
    assert "line" not in details["lines"][0], (
        "the text is shown only where a setting or the profile allows it"
    )


def test_the_setting_shows_the_lines_themselves(
    client: WireClient, signer: Signer, settings: Settings
) -> None:
    settings.DATAFOLD_REFUSAL_LINES = True
    signed = me(Signer(signer.key_id))
    lines = error(client.send(signed))["details"]["lines"]
    assert lines[1]["line"] == f'"@target-uri": {ORIGIN}/api/v1/auth/me'
    assert lines[1]["sha256"] == hashlib.sha256(lines[1]["line"].encode()).hexdigest()


def test_a_lenient_client_sees_the_lines(client: WireClient) -> None:
    register_active("lenient-client", profile="lenient")
    assert "line" in error(client.send(me(Signer("lenient-client"))))["details"]["lines"][0]


@pytest.mark.parametrize(
    ("signed_url", "code", "word"),
    [
        ("https://testserver/api/v1/auth/me", "OTHER_ORIGIN", "https://testserver"),
        ("http://testserver/api/v1/auth/me/", "TRAILING_SLASH", "/api/v1/auth/me/"),
    ],
)
def test_the_usual_mistakes_are_named(
    client: WireClient, signer: Signer, signed_url: str, code: str, word: str
) -> None:
    signed = signer.sign("GET", signed_url)
    signed.url = f"{ORIGIN}/api/v1/auth/me"
    refusal = error(client.send(signed))
    assert refusal["code"] == "SIGNATURE_VERIFICATION_FAILED"
    assert refusal["details"]["cause"]["code"] == code
    assert word in refusal["details"]["hint"]


def test_the_search_for_causes_has_a_budget(
    client: WireClient, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explanation, "_searches", Budget(per_second=0, burst=2))
    found = []
    for _ in range(4):
        signed = signer.sign("GET", "https://testserver/api/v1/auth/me")
        signed.url = f"{ORIGIN}/api/v1/auth/me"
        found.append("cause" in error(client.send(signed))["details"])
    assert found == [True, True, False, False]


def test_a_clock_that_is_wrong_is_told_by_how_much(client: WireClient, signer: Signer) -> None:
    late = error(client.send(me(signer, created=datetime.now(UTC) - timedelta(seconds=312))))
    assert late["code"] == "SIGNATURE_EXPIRED"
    assert "312 s" in late["message"] or "313 s" in late["message"]
    early = error(client.send(me(signer, created=datetime.now(UTC) + timedelta(seconds=100))))
    assert early["code"] == "TIMESTAMP_IN_FUTURE"
    assert "ahead" in early["message"]


@pytest.mark.parametrize(
    ("signing", "code", "cure"),
    [
        ({"nonce": ""}, "NONCE_MISSING", "Add a fresh one"),
        ({"covered": ("@method", "@path")}, "COMPONENT_NOT_COVERED", 'Cover it'),
        ({"headers": {"X-A": "1"}, "covered": ("@method", "@target-uri", "x-a")}, "COMPONENT_UNKNOWN", "send it"),
    ],
)  # fmt: skip
def test_details_alone_tell_cause_and_cure(
    client: WireClient, signer: Signer, signing: dict[str, Any], code: str, cure: str
) -> None:
    signed = me(signer, **signing)
    signed.headers.pop("X-A", None)
    refused = error(client.send(signed))
    assert refused["code"] == code
    assert cure in refused["details"]["hint"]


def test_a_signature_that_is_nobodys_is_asked_for_its_keyid(client: WireClient, signer: Signer) -> None:
    signed = me(signer)
    signed.headers["Signature-Input"] = signed.headers["Signature-Input"].replace(
        ';keyid="asks-for-help"', ""
    )
    refused = client.send(signed)
    assert (refused.status_code, error(refused)["code"]) == (401, "KEYID_MISSING")
    assert "client_id" in error(refused)["details"]["hint"]
    assert refused["Accept-Signature"]


def test_what_other_standards_call_it_is_understood_in_the_refusal(
    client: WireClient, signer: Signer
) -> None:
    signed = me(signer)
    signed.headers["Signature-Input"] = signed.headers["Signature-Input"].replace("ed25519", "EdDSA")
    assert '"ed25519"' in error(client.send(signed))["details"]["hint"]
    stamped = me(signer, created=datetime.now(UTC))
    seconds = stamped.headers["Signature-Input"].partition("created=")[2].partition(";")[0]
    stamped.headers["Signature-Input"] = stamped.headers["Signature-Input"].replace(seconds, f"{seconds}000")
    assert "milliseconds" in error(client.send(stamped))["details"]["hint"]


def test_the_older_draft_is_told_from_nothing(client: WireClient) -> None:
    older = 'keyId="x",algorithm="hs2019",headers="(request-target)",signature="YQ=="'
    refused = client.get("/api/v1/auth/me", headers={"Signature": older})
    assert error(refused)["code"] == "SIGNATURE_MALFORMED"
    assert "older draft" in error(refused)["details"]["hint"]
    refused = client.get("/api/v1/auth/me", headers={"Authorization": f"Signature {older}"})
    assert error(refused)["code"] == "SIGNATURE_MISSING"
    assert "older draft" in error(refused)["details"]["hint"]


def test_why_a_key_was_suspended_is_told_to_its_holder_alone(client: WireClient, signer: Signer) -> None:
    key = Key.objects.get(client__client_id="asks-for-help")
    lifecycle.suspend(key, actor=Actor.system("tests"), reason="strange hours")
    assert error(client.send(me(signer)))["message"].endswith("they say: strange hours")
    assert "strange hours" not in client.send(me(Signer("asks-for-help"))).content.decode()


# --- What a 401 asks for ---------------------------------------------------------------------------------


def test_a_refused_client_is_asked_for_what_its_own_profile_wants(client: WireClient) -> None:
    strict = register_active("strict-client", profile="strict")
    refused = client.send(me(strict))
    assert error(refused)["details"]["missing"] == ['"@authority"']
    assert refused["Accept-Signature"] == (
        'sig1=("@method" "@target-uri" "@authority");created;tag="datafold"'
    )


def test_a_rotation_asks_for_both_signatures(client: WireClient, signer: Signer) -> None:
    signed = signer.sign(
        "POST",
        f"{ORIGIN}/api/v1/crypto/keys/rotate",
        json_body={"public_key": Signer().public_hex},
        tag="datafold",
    )
    refused = client.send(signed)
    assert error(refused)["code"] == "SIGNATURE_MISSING"
    components = '("@method" "@target-uri" "content-digest" "content-type");created'
    assert refused["Accept-Signature"] == (
        f'sig1={components};tag="datafold", sig2={components};tag="datafold-new-key"'
    )


def test_a_refusal_after_the_signature_held_asks_for_what_the_profile_wants_too(client: WireClient) -> None:
    strict = register_active("strict-rotates", profile="strict", scopes=["keys:rotate"])
    signed = strict.sign(
        "POST",
        f"{ORIGIN}/api/v1/crypto/keys/rotate",
        json_body={"public_key": Signer().public_hex},
        covered=("@method", "@target-uri", "@authority", "content-digest", "content-type"),
        tag="datafold",
    )
    refused = client.send(signed)
    assert error(refused)["code"] == "SIGNATURE_MISSING"
    assert refused["Accept-Signature"].count('"@authority"') == 2


# --- Inspections ----------------------------------------------------------------------------------------


def inspect(client: WireClient, **wish: Any) -> dict[str, Any]:
    response = client.post("/api/v1/signatures/inspect", wish, content_type="application/json")
    assert response.status_code == 200, response.content
    found: dict[str, Any] = response.json()["data"]
    return found


def verdicts(inspected: dict[str, Any]) -> dict[str, bool | None]:
    return {check["name"]: check["ok"] for check in inspected["checks"]}


def raw(signed: SignedRequest, *, line_end: str = "\r\n") -> str:
    target = "/" + signed.url.split("/", 3)[3]
    lines = [f"{signed.method} {target} HTTP/1.1", f"Host: {signed.url.split('/')[2]}"]
    lines += [f"{name}: {value}" for name, value in signed.headers.items()]
    return line_end.join([*lines, "", signed.content.decode()])


def test_a_good_request_passes_every_check_and_its_nonce_is_not_spent(
    client: WireClient, signer: Signer
) -> None:
    signed = me(signer)
    inspected = inspect(client, method="GET", url=signed.url, headers=signed.headers)
    assert inspected["verified"] is True
    assert verdicts(inspected).pop("nonce-fresh") is None
    assert all(ok for name, ok in verdicts(inspected).items() if name != "nonce-fresh")
    assert inspected["client_id"] == "asks-for-help"
    assert inspected["signature"]["params"]["keyid"] == "asks-for-help"
    assert inspected["signature_base"].startswith('"@method": GET\n"@target-uri": ')
    assert client.send(signed).status_code == 200, "inspecting spent the nonce"


@pytest.mark.parametrize("line_end", ["\r\n", "\n"])
def test_a_request_can_be_pasted_as_text(client: WireClient, signer: Signer, line_end: str) -> None:
    signed = signer.sign("POST", f"{ORIGIN}/api/v1/auth/test?x=%2f", json_body={"a": "ä"})
    assert inspect(client, raw=raw(signed, line_end=line_end))["verified"] is True


@pytest.mark.parametrize("media_type", ["message/http", "text/plain", "text/plain; charset=utf-8"])
def test_a_request_can_be_sent_as_it_is(client: WireClient, signer: Signer, media_type: str) -> None:
    signed = signer.sign("POST", f"{ORIGIN}/api/v1/auth/test", json_body={"a": 1})
    response = client.post("/api/v1/signatures/inspect", raw(signed), content_type=media_type)
    assert response.json()["data"]["verified"] is True


def test_a_body_may_hold_any_byte(client: WireClient, signer: Signer) -> None:
    for content in (bytes(range(256)), b"\xed\xa0\x80\x00", b"a\r\n\r\nb"):
        for line_end in ("\r\n", "\n"):
            signed = signer.sign("POST", f"{ORIGIN}/api/v1/auth/test", content=content)
            head = raw(SignedRequest(signed.method, signed.url, signed.headers), line_end=line_end).encode()
            answer = client.post("/api/v1/signatures/inspect", head + content, content_type="message/http")
            assert answer.status_code == 200, answer.content
            assert answer.json()["data"]["verified"] is True


def test_what_curl_shows_of_a_request_can_be_pasted(client: WireClient, signer: Signer) -> None:
    sent = "\n".join(f"> {line}" for line in raw(me(signer), line_end="\n").rstrip().splitlines())
    shown = (
        f"* Connected to testserver\n{sent}\n> \n* Request completely sent off\n< HTTP/1.1 401 Unauthorized\n"
    )
    assert inspect(client, raw=shown)["verified"] is True


def test_a_body_that_quotes_is_no_output_of_curl(client: WireClient, signer: Signer) -> None:
    signed = signer.sign("POST", f"{ORIGIN}/api/v1/auth/test", content=b"* a\n> b\n")
    assert inspect(client, raw=raw(signed))["verified"] is True


def test_another_media_type_is_told_which_are_taken(client: WireClient) -> None:
    refused = client.post("/api/v1/signatures/inspect", "<a/>", content_type="application/xml")
    assert refused.status_code == 415
    assert "message/http" in error(refused)["message"]
    assert error(refused)["details"] == {"accepted": ["application/json", "message/http", "text/plain"]}


def test_checks_are_in_order_and_go_on_after_a_failure(client: WireClient, signer: Signer) -> None:
    signed = signer.sign("POST", f"{ORIGIN}/api/v1/auth/test", json_body={"a": 1}, nonce="short")
    signed.content = b'{"a": 2}'
    inspected = inspect(client, raw=raw(signed))
    failed = [name for name, ok in verdicts(inspected).items() if ok is False]
    assert failed == ["nonce", "digest"]
    assert verdicts(inspected)["signature"] is True
    assert list(verdicts(inspected))[:4] == ["message", "parse", "select", "host"]


def test_a_wrong_signature_is_explained(client: WireClient, signer: Signer) -> None:
    signed = signer.sign("GET", "https://testserver/api/v1/auth/me")
    inspected = inspect(
        client, method="GET", url=f"{ORIGIN}/api/v1/auth/me", headers=signed.headers, scheme="http"
    )
    assert inspected["cause"]["code"] == "OTHER_ORIGIN"
    assert inspected["signature_base_lines"][1]["line"] == f'"@target-uri": {ORIGIN}/api/v1/auth/me'


# What the server says of a request, an inspection of it says as well: sent, it would be refused.


def sent_and_inspected(
    client: WireClient, signed: SignedRequest, sent_to: str = ""
) -> tuple[Any, dict[str, Any]]:
    """The request as it is answered under `sent_to` (by default its own host), and as it is judged when pasted."""
    host, target = signed.url.split("/", 3)[2:]
    answer = client.get(f"/{target}", HTTP_HOST=sent_to or host, headers=signed.headers)
    return answer, inspect(client, method=signed.method, url=signed.url, headers=signed.headers)


def test_a_public_origin_decides_whatever_the_pasted_url_says(
    client: WireClient, signer: Signer, settings: Settings
) -> None:
    settings.DATAFOLD_PUBLIC_ORIGINS = ["https://testserver"]
    answer, inspected = sent_and_inspected(client, me(signer))
    assert error(answer)["details"]["cause"]["code"] == inspected["cause"]["code"] == "OTHER_ORIGIN"
    assert inspected["verified"] is False
    url = "https://testserver/api/v1/auth/me"
    answer, inspected = sent_and_inspected(client, signer.sign("GET", url))
    assert (answer.status_code, inspected["verified"]) == (200, True)
    assert inspect(client, raw=raw(signer.sign("GET", url)))["verified"] is True
    plain = me(signer)
    assert inspect(client, raw=raw(plain), scheme="http")["cause"]["code"] == "OTHER_ORIGIN"


def test_without_a_public_origin_the_connection_decides_and_not_what_the_url_says(
    client: WireClient, signer: Signer
) -> None:
    answer, inspected = sent_and_inspected(client, signer.sign("GET", "https://testserver/api/v1/auth/me"))
    assert error(answer)["details"]["cause"]["code"] == inspected["cause"]["code"] == "OTHER_ORIGIN"


@pytest.mark.parametrize("origins", [[], ["http://testserver"]])
def test_a_host_that_is_none_of_the_servers_fails(
    client: WireClient, signer: Signer, settings: Settings, origins: list[str]
) -> None:
    settings.DATAFOLD_PUBLIC_ORIGINS = origins
    url = "http://elsewhere.example.org/api/v1/auth/me"
    answer, inspected = sent_and_inspected(client, signer.sign("GET", url))
    assert error(answer)["code"] == "AUTHORITY_NOT_ALLOWED"
    assert (
        next(check["code"] for check in inspected["checks"] if check["name"] == "host")
        == error(answer)["code"]
    )
    assert inspected["verified"] is False


@pytest.mark.parametrize("origins", [[], ["http://testserver"]])
def test_a_host_that_a_proxy_asks_about_is_judged_as_the_proxy_would_have_it(
    client: WireClient, signer: Signer, settings: Settings, origins: list[str]
) -> None:
    settings.DATAFOLD_PUBLIC_ORIGINS = origins
    settings.DATAFOLD_FORWARD_AUTH_HOSTS = ["app.example.com"]
    signed = signer.sign("GET", "https://app.example.com/orders/7")
    assert inspect(client, method="GET", url=signed.url, headers=signed.headers)["verified"] is True
    assert inspect(client, raw=raw(signed), scheme="https")["verified"] is True


def test_the_state_is_told_to_the_holder_alone(client: WireClient) -> None:
    holder = register_pending("waits-for-approval")
    signed, forged = me(holder), me(Signer("waits-for-approval"))
    mine = inspect(client, method="GET", url=signed.url, headers=signed.headers)
    assert mine["verified"] is False
    assert mine["checks"][-2]["code"] == "KEY_NOT_ACTIVE"
    theirs = inspect(client, method="GET", url=forged.url, headers=forged.headers)
    assert theirs["checks"][-2]["ok"] is None
    assert "pending" not in json.dumps(theirs)


@pytest.mark.parametrize(
    ("wish", "check"),
    [
        ({"raw": "GET / HTTP/1.1\r\n\r\n"}, "message"),
        ({"raw": "nonsense"}, "message"),
        ({"raw": "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"}, "message"),
        ({"raw": "GET / HTTP/1.1\r\nHost: a\r\n\r\n"}, "parse"),
        ({"raw": "GET /\u00e4 HTTP/1.1\r\nHost: a\r\n\r\n"}, "message"),
        ({"method": "GET", "url": "https://a", "headers": {"Signature": "?", "Signature-Input": "?"}}, "parse"),
    ],
)  # fmt: skip
def test_what_is_no_signed_request_is_told_as_a_failed_check(
    client: WireClient, wish: dict[str, Any], check: str
) -> None:
    inspected = inspect(client, **wish)
    assert verdicts(inspected)[check] is False
    assert inspected["verified"] is False


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"method": "GET"},
        {"method": "GET", "url": "https://a/", "target": "/"},
        {"method": "GET", "url": "https://a/", "headers": {"A": 1}},
        {"method": "GET", "url": "https://a/", "headers": [["A"]]},
        {"method": "GET", "url": "https://a/", "headers": [["A", "b"]] * 101},
        {"raw": "x" * 200_001},
        {"raw": 7, "method": []},
        {"raw": ""},
        {"raw": "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "shceme": "https"},
        {"raw": "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "method": "GET"},
        {"method": "GET", "url": "https://a/", "body": 7},
    ],
)
def test_what_describes_no_request_is_refused(client: WireClient, wish: dict[str, Any]) -> None:
    response = client.post("/api/v1/signatures/inspect", wish, content_type="application/json")
    assert response.status_code == 422
    assert error(response)["code"] == "VALIDATION_FAILED"


def test_inspecting_is_limited_by_address(client: WireClient, settings: Settings) -> None:
    settings.DATAFOLD_VERIFY_RATE = "3/minute"
    wish = {"raw": "GET / HTTP/1.1\r\nHost: a\r\n\r\n"}
    answers = [
        client.post(
            "/api/v1/signatures/inspect", wish, content_type="application/json", REMOTE_ADDR="192.0.2.9"
        )
        for _ in range(12)
    ]
    assert answers[0].status_code == 200
    assert answers[-1].status_code == 429
    assert int(answers[-1]["Retry-After"]) >= 1


def test_a_digest_of_the_wrong_body_names_both(client: WireClient, signer: Signer) -> None:
    signed = signer.sign("POST", f"{ORIGIN}/api/v1/auth/test", json_body={"a": 1})
    signed.content = b'{"a": 2}'
    refused = client.send(signed)
    assert error(refused)["code"] == "DIGEST_MISMATCH"
    assert error(refused)["details"]["actual"] in content_digest(b'{"a": 2}')
    assert "sha-256" in refused["Want-Content-Digest"]
