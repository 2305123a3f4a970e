"""`/api/v1/authorize` in each proxy's dialect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from tests.support.client import WireClient
from tests.support.registered import register_active
from tests.support.signing import SignedRequest, Signer, content_digest

pytestmark = pytest.mark.django_db

ORIGIN = "https://app.example.com"
AUTHORIZE = "/api/v1/authorize"


@pytest.fixture(autouse=True)
def _behind_a_proxy(settings: Settings) -> None:
    settings.DATAFOLD_TRUSTED_PROXIES = ["127.0.0.1/32"]
    settings.DATAFOLD_FORWARD_AUTH_HOSTS = ["app.example.com", ".wild.example.com"]


@pytest.fixture
def signer() -> Iterator[Signer]:
    return register_active("fleet-client", scopes=["schemas:read", "keys:rotate"])  # type: ignore[return-value]


class Proxy:
    """Asks as a proxy does: `ask` answers DataFold's response about a signed original request."""

    def __init__(self, client: WireClient, dialect: str, *, passes_body: bool = False) -> None:
        self.client = client
        self.dialect = dialect
        self.passes_body = passes_body

    def ask(self, signed: SignedRequest, **changes: str | None) -> Any:
        """`changes`: header fields of the question, None to leave one out."""
        target = "/" + signed.url.split("/", 3)[3]
        host = signed.url.split("/")[2]
        fields: dict[str, str | None] = {
            **{name: value for name, value in signed.headers.items() if name != "Content-Type"},
            "X-Forwarded-Proto": signed.url.split(":")[0],
            "X-Forwarded-For": "203.0.113.9",
        }
        method, path, content = "GET", AUTHORIZE, b""
        if self.dialect == "nginx":
            fields |= {
                "X-Original-Method": signed.method,
                "X-Original-URI": target,
                "X-Forwarded-Host": host,
            }
            if signed.content:
                fields["X-Original-Content-Length"] = str(len(signed.content))
        elif self.dialect == "envoy":
            method, path, content = signed.method, AUTHORIZE + target, signed.content
            fields["Host"] = host
        else:
            content = signed.content if self.passes_body else b""
            fields |= {
                "X-Forwarded-Method": signed.method,
                "X-Forwarded-Uri": target,
                "X-Forwarded-Host": host,
            }
        fields |= {name.replace("_", "-"): value for name, value in changes.items()}
        return self.client.generic(
            method,
            path,
            content,
            CONTENT_TYPE=signed.headers.get("Content-Type", ""),
            headers={name: value for name, value in fields.items() if value is not None},
        )


@pytest.fixture(params=["nginx", "traefik", "envoy"])
def proxy(client: WireClient, request: pytest.FixtureRequest) -> Proxy:
    return Proxy(client, request.param)


@pytest.fixture
def nginx(client: WireClient) -> Proxy:
    return Proxy(client, "nginx")


@pytest.fixture
def traefik(client: WireClient) -> Proxy:
    return Proxy(client, "traefik")


@pytest.fixture
def envoy(client: WireClient) -> Proxy:
    return Proxy(client, "envoy")


def error(response: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(response.content)["error"]
    return found


def test_a_signed_request_passes_and_the_upstream_learns_who_signed(proxy: Proxy, signer: Signer) -> None:
    response = proxy.ask(signer.sign("GET", f"{ORIGIN}/orders/7?full=1&x=%2f"))
    assert response.status_code == 200, response.content
    assert response["X-DataFold-Client-Id"] == "fleet-client"
    assert len(response["X-DataFold-Key"]) == 43
    assert response["X-DataFold-Scopes"] == "keys:rotate schemas:read"
    assert response["X-DataFold-Profile"] == "standard"
    assert response["X-DataFold-Body"] == "none"


def test_the_root_path_passes(proxy: Proxy, signer: Signer) -> None:
    assert proxy.ask(signer.sign("GET", f"{ORIGIN}/")).status_code == 200


def test_one_nonce_counts_for_one_original_request(proxy: Proxy, signer: Signer) -> None:
    signed = signer.sign("GET", f"{ORIGIN}/orders")
    assert proxy.ask(signed).status_code == 200
    replayed = proxy.ask(signed)
    assert (replayed.status_code, error(replayed)["code"]) == (401, "NONCE_REUSED")


def test_another_target_than_the_signed_one_is_refused(proxy: Proxy, signer: Signer) -> None:
    signed = signer.sign("GET", f"{ORIGIN}/orders/7")
    signed.url = f"{ORIGIN}/orders/8"
    refused = proxy.ask(signed)
    assert (refused.status_code, error(refused)["code"]) == (401, "SIGNATURE_VERIFICATION_FAILED")


def test_another_method_than_the_signed_one_is_refused(proxy: Proxy, signer: Signer) -> None:
    signed = signer.sign("GET", f"{ORIGIN}/orders/7")
    signed.method = "DELETE"
    assert proxy.ask(signed).status_code == 401


def test_another_host_than_the_signed_one_is_refused(proxy: Proxy, signer: Signer) -> None:
    signed = signer.sign("GET", f"{ORIGIN}/orders/7")
    signed.url = "https://other.wild.example.com/orders/7"
    assert proxy.ask(signed).status_code == 401


def test_a_host_that_is_not_listed_is_not_judged(proxy: Proxy, signer: Signer) -> None:
    refused = proxy.ask(signer.sign("GET", "https://elsewhere.example.org/orders"))
    assert (refused.status_code, error(refused)["code"]) == (403, "FORWARDED_HOST_NOT_ALLOWED")


def test_without_any_listed_host_nothing_passes(proxy: Proxy, signer: Signer, settings: Settings) -> None:
    settings.DATAFOLD_FORWARD_AUTH_HOSTS = []
    assert proxy.ask(signer.sign("GET", f"{ORIGIN}/orders")).status_code == 403


def test_an_address_that_is_no_proxy_is_refused(proxy: Proxy, signer: Signer, settings: Settings) -> None:
    settings.DATAFOLD_TRUSTED_PROXIES = ["10.0.0.0/8"]
    refused = proxy.ask(signer.sign("GET", f"{ORIGIN}/orders"), **{"X-Forwarded-For": "10.0.0.1"})
    assert (refused.status_code, error(refused)["code"]) == (403, "PROXY_NOT_TRUSTED")


def test_an_unsigned_request_is_told_what_to_sign(proxy: Proxy) -> None:
    refused = proxy.ask(SignedRequest("POST", f"{ORIGIN}/orders", {"Content-Type": "text/plain"}, b"x"))
    assert refused.status_code == 401
    assert error(refused)["code"] == "SIGNATURE_MISSING"
    assert refused["WWW-Authenticate"] == "Signature"
    assert '"content-digest"' in refused["Accept-Signature"], "the original has a body"


def test_switched_off_authentication_opens_nothing(proxy: Proxy, settings: Settings) -> None:
    settings.DATAFOLD_ENABLE_AUTH = False
    settings.DATAFOLD_REQUIRE_AUTH = False
    assert proxy.ask(SignedRequest("GET", f"{ORIGIN}/orders", {})).status_code == 401


# --- The body ---------------------------------------------------------------------------------------


def test_a_signed_digest_is_declared_where_the_body_stays_with_the_proxy(
    nginx: Proxy, traefik: Proxy, signer: Signer
) -> None:
    for proxy in (nginx, traefik):
        response = proxy.ask(signer.sign("POST", f"{ORIGIN}/orders", json_body={"a": 1}))
        assert response.status_code == 200, response.content
        assert response["X-DataFold-Body"] == "declared"


def test_a_body_that_the_proxy_passes_on_is_verified(envoy: Proxy, signer: Signer) -> None:
    signed = signer.sign("POST", f"{ORIGIN}/orders", json_body={"a": 1})
    assert envoy.ask(signed)["X-DataFold-Body"] == "verified"
    changed = signer.sign("POST", f"{ORIGIN}/orders", json_body={"a": 1})
    changed.content = b'{"a": 2}'
    refused = envoy.ask(changed)
    assert (refused.status_code, error(refused)["code"]) == (401, "DIGEST_MISMATCH")


def test_the_beginning_of_a_body_is_not_taken_for_the_whole(envoy: Proxy, signer: Signer) -> None:
    signed = signer.sign("POST", f"{ORIGIN}/orders", json_body={"a": 1})
    signed.content = signed.content[:3]
    response = envoy.ask(signed, X_Envoy_Auth_Partial_Body="true")
    assert response.status_code == 200, response.content
    assert response["X-DataFold-Body"] == "declared"


def test_only_envoy_says_that_a_body_is_not_whole(client: WireClient, envoy: Proxy, signer: Signer) -> None:
    """Traefik passes on the caller's field of this name; Envoy sets its own, to "true" or "false"."""
    traefik = Proxy(client, "traefik", passes_body=True)
    assert traefik.ask(signer.sign("POST", f"{ORIGIN}/orders", content=b"x"))["X-DataFold-Body"] == "verified"
    for proxy, field in ((traefik, "true"), (envoy, "false"), (envoy, "True"), (envoy, "true, true")):
        changed = signer.sign("POST", f"{ORIGIN}/orders", json_body={"a": 1})
        changed.content = b'{"a": 2}'
        refused = proxy.ask(changed, X_Envoy_Auth_Partial_Body=field)
        assert (refused.status_code, error(refused)["code"]) == (401, "DIGEST_MISMATCH")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "PROPPATCH"])
def test_a_method_with_content_needs_a_signed_digest_where_nobody_says_that_there_is_no_body(
    traefik: Proxy, signer: Signer, method: str
) -> None:
    refused = traefik.ask(signer.sign(method, f"{ORIGIN}/orders"))
    assert (refused.status_code, error(refused)["code"]) == (401, "COMPONENT_NOT_COVERED")


def test_a_post_without_a_body_passes_where_the_proxy_says_so(nginx: Proxy, signer: Signer) -> None:
    response = nginx.ask(signer.sign("POST", f"{ORIGIN}/orders"), X_Original_Content_Length="0")
    assert response["X-DataFold-Body"] == "none"


@pytest.mark.parametrize(
    "field", [{"X_Original_Content_Length": "12"}, {"X_Original_Transfer_Encoding": "chunked"}]
)
def test_a_body_that_was_added_to_a_signed_get_is_refused(
    nginx: Proxy, signer: Signer, field: dict[str, str]
) -> None:
    refused = nginx.ask(signer.sign("GET", f"{ORIGIN}/orders"), **field)
    assert (refused.status_code, error(refused)["code"]) == (401, "COMPONENT_NOT_COVERED")


def test_a_digest_that_nobody_can_compare_is_refused(nginx: Proxy, signer: Signer) -> None:
    signed = signer.sign("POST", f"{ORIGIN}/orders", content=b"x")
    refused = nginx.ask(signed, Content_Digest="md5=:AAAA:")
    assert (refused.status_code, error(refused)["code"]) == (401, "DIGEST_MISSING")
    assert nginx.ask(signed, Content_Digest="not a dictionary").status_code == 403


def test_a_digest_that_is_not_signed_vouches_for_nothing(nginx: Proxy, signer: Signer) -> None:
    response = nginx.ask(signer.sign("GET", f"{ORIGIN}/orders"), Content_Digest=content_digest(b"added"))
    assert response["X-DataFold-Body"] == "none"


# --- Forgery ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "forged",
    [
        {"X_Original_URI": "/other"},
        {"X_Original_Method": "DELETE"},
        {"X_Original_URI": "/other", "X_Original_Method": "GET"},
    ],
)
def test_a_callers_fields_of_another_dialect_are_refused_behind_traefik(
    traefik: Proxy, signer: Signer, forged: dict[str, str]
) -> None:
    refused = traefik.ask(signer.sign("GET", f"{ORIGIN}/orders"), **forged)
    assert error(refused)["code"] == "FORWARDED_REQUEST_INVALID"
    assert refused.status_code in (400, 403)


@pytest.mark.parametrize("field", ["X_Forwarded_Uri", "X_Forwarded_Method"])
def test_a_callers_fields_of_another_dialect_are_refused_behind_nginx_and_envoy(
    nginx: Proxy, envoy: Proxy, signer: Signer, field: str
) -> None:
    for proxy in (nginx, envoy):
        refused = proxy.ask(signer.sign("GET", f"{ORIGIN}/orders"), **{field: "/other"})
        assert error(refused)["code"] == "FORWARDED_REQUEST_INVALID"


def test_envoys_host_is_the_host_and_not_what_a_field_says(envoy: Proxy, signer: Signer) -> None:
    refused = envoy.ask(
        signer.sign("GET", "https://elsewhere.example.org/orders"), X_Forwarded_Host="app.example.com"
    )
    assert error(refused)["code"] == "FORWARDED_HOST_NOT_ALLOWED"


@pytest.mark.parametrize("field", ["X_Forwarded_Proto", "X_Forwarded_Host", "X_Original_Method"])
def test_nothing_is_guessed_that_the_proxy_did_not_say(nginx: Proxy, signer: Signer, field: str) -> None:
    refused = nginx.ask(signer.sign("GET", f"{ORIGIN}/orders"), **{field: None})
    assert error(refused)["code"] == "FORWARDED_REQUEST_INVALID"


def test_two_hosts_are_refused(nginx: Proxy, signer: Signer) -> None:
    refused = nginx.ask(
        signer.sign("GET", f"{ORIGIN}/orders"), X_Forwarded_Host="app.example.com, evil.example"
    )
    assert refused.status_code == 403
    assert error(refused)["code"] == "REQUEST_MALFORMED"


# --- nginx --------------------------------------------------------------------------------------------


def test_nginx_gets_only_statuses_that_it_passes_on_and_the_rest_in_fields(
    nginx: Proxy, signer: Signer
) -> None:
    malformed = nginx.ask(SignedRequest("GET", f"{ORIGIN}/", {"Signature": "?", "Signature-Input": "?"}))
    assert malformed.status_code == 403
    assert malformed["X-DataFold-Status"] == "400"
    told = json.loads(malformed["X-DataFold-Refusal"])
    assert told["error"]["code"] == malformed["X-DataFold-Error"] == "SIGNATURE_MALFORMED"
    assert told["error"]["status"] == 400
    assert "\n" not in malformed["X-DataFold-Refusal"]


def test_the_refusal_in_a_field_stays_short(nginx: Proxy, signer: Signer) -> None:
    names = [f"x-field-{number}" for number in range(40)]
    signed = signer.sign(
        "GET", f"{ORIGIN}/", headers=dict.fromkeys(names, "value"), covered=["@method", "@target-uri", *names]
    )
    signed.method = "DELETE"
    refused = nginx.ask(signed)
    assert refused.status_code == 401
    assert len(refused["X-DataFold-Refusal"]) < 2500


def test_other_proxies_get_the_status_itself(traefik: Proxy) -> None:
    refused = traefik.ask(SignedRequest("GET", f"{ORIGIN}/", {"Signature": "?", "Signature-Input": "?"}))
    assert refused.status_code == 400
    assert "X-DataFold-Refusal" not in refused


def test_a_question_is_never_redirected_to_https(nginx: Proxy, signer: Signer, settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert nginx.ask(signer.sign("GET", f"{ORIGIN}/orders")).status_code == 200
