"""Security headers on every answer, whoever made it; CORS closed unless listed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import httpx2
import pytest

from tests.support.python import run_python
from tests.support.server import DataFoldServer
from tests.support.stack import server_variables

pytestmark = pytest.mark.one_stack

EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
APP = "https://app.example.com"


@pytest.fixture(scope="module")
def server(start_server: Callable[..., DataFoldServer]) -> DataFoldServer:
    return start_server("headers", DATAFOLD_CORS_ORIGINS=f"{APP},https://other.example.com")


@pytest.fixture
def http(server: DataFoldServer) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.base_url, trust_env=False, timeout=20) as http:
        yield http


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/api/v1/system/status", {}, 200),
        ("GET", "/api/v1/auth/me", {}, 401),
        ("GET", "/nothing/here", {}, 404),
        ("GET", "/api/v1/auth/me", {"Signature": "x", "Signature-Input": "("}, 400),
        ("POST", "/api/v1/auth/test", {}, 413),
        ("GET", "/", {"Host": "evil.example"}, 400),
        ("GET", "/", {"Accept": "text/html"}, 200),
        ("GET", "/docs", {}, 200),
        ("GET", "/admin/", {}, 302),
        ("GET", "/health/live", {}, 200),
        ("GET", "/metrics", {}, 200),
        ("GET", "/openapi.json", {}, 200),
        ("GET", "/static/datafold/home.css", {}, 200),
    ],
)
def test_every_answer_carries_them(
    http: httpx2.Client, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    answer = http.request(method, path, headers=headers, content=b"x" * 1_100_000 if status == 413 else None)
    assert answer.status_code == status, answer.text
    assert {name: answer.headers.get(name) for name in EVERYWHERE} == EVERYWHERE
    policy = dict(part.partition(" ")[::2] for part in answer.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["base-uri"] == "'none'"
    assert "Permissions-Policy" in answer.headers
    assert "unsafe-inline" not in policy.get("script-src", "")
    assert ("unsafe-eval" in policy.get("script-src", "")) == path.startswith("/admin")


def test_a_foreign_host_is_refused_and_is_no_crash(http: httpx2.Client, server: DataFoldServer) -> None:
    answer = http.get("/api/v1/system/status", headers={"Host": "stranger.example"})
    assert answer.status_code == 400
    lines = [line for line in server.log.read_text().splitlines() if answer.headers["X-Request-ID"] in line]
    assert lines
    assert not [line for line in lines if "Traceback" in line or '"level": "error"' in line]


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/health/detailed", "/metrics"])
@pytest.mark.parametrize("host", ["web:8000", "10.1.2.3:8000", "[fd00::1]:8000"])
def test_probes_and_prometheus_know_it_by_its_address(http: httpx2.Client, path: str, host: str) -> None:
    assert http.get(path, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    ("path", "host"),
    [
        ("/metrics", "rebound.example"),
        ("/health/ready", "rebound.example:8000"),
        ("/metrics", "web.rebound.example"),
        ("/metrics", "web@rebound"),
        ("/metrics/", "10.1.2.3"),
        ("/api/v1/system/status", "10.1.2.3:8000"),
        ("/admin/", "web:8000"),
        ("/healthy", "web:8000"),
    ],
)
def test_nothing_else_is_served_under_a_name_that_is_not_listed(
    http: httpx2.Client, path: str, host: str
) -> None:
    assert http.get(path, headers={"Host": host}).status_code == 400


def test_each_page_has_its_own_nonce(http: httpx2.Client) -> None:
    policies = [http.get("/docs").headers["Content-Security-Policy"] for _ in range(3)]
    nonces = {policy.partition("'nonce-")[2].partition("'")[0] for policy in policies}
    assert len(nonces) == 3
    assert all(len(nonce) >= 22 for nonce in nonces)


def test_evaluation_is_for_the_operators_pages_alone(http: httpx2.Client) -> None:
    login = http.get("/account/login/")
    assert "'unsafe-eval'" in login.headers["Content-Security-Policy"]
    assert "'unsafe-inline'" not in login.headers["Content-Security-Policy"].partition("style-src-attr")[0]


def test_what_is_personal_is_not_stored(http: httpx2.Client) -> None:
    assert http.get("/api/v1/auth/status").headers["Cache-Control"] == "no-store"
    assert "no-store" in http.get("/account/login/").headers["Cache-Control"]


def test_the_document_is_compressed_and_answers_of_the_api_are_not(http: httpx2.Client) -> None:
    assert http.get("/openapi.json").headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in http.get("/api/v1/system/status").headers


# --- CORS ------------------------------------------------------------------------------------------------


def test_a_listed_origin_may_read(http: httpx2.Client) -> None:
    answer = http.get("/api/v1/system/status", headers={"Origin": APP})
    assert answer.headers["Access-Control-Allow-Origin"] == APP
    assert "RateLimit" in answer.headers["Access-Control-Expose-Headers"]
    assert "Origin" in answer.headers["Vary"]
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_a_preflight_is_answered_with_what_signing_needs(http: httpx2.Client) -> None:
    wish = {
        "Origin": APP,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "signature",
    }
    answer = http.options("/api/v1/schemas", headers=wish)
    assert answer.status_code == 204
    allowed = answer.headers["Access-Control-Allow-Headers"].lower()
    assert all(name in allowed for name in ("signature", "signature-input", "content-digest", "content-type"))


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://app.example.com", APP + ".evil.example"]
)
def test_any_other_origin_may_not(http: httpx2.Client, origin: str) -> None:
    for headers in ({"Origin": origin}, {"Origin": origin, "Access-Control-Request-Method": "POST"}):
        answer = http.request(
            "OPTIONS" if len(headers) == 2 else "GET", "/api/v1/system/status", headers=headers
        )
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


def test_the_operators_pages_are_closed_to_every_origin(http: httpx2.Client) -> None:
    answer = http.get("/account/login/", headers={"Origin": APP})
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_closed_where_nothing_is_listed(datafold_server: DataFoldServer) -> None:
    with httpx2.Client(base_url=datafold_server.base_url, trust_env=False) as http:
        answer = http.get("/api/v1/system/status", headers={"Origin": APP})
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


# --- Settings --------------------------------------------------------------------------------------------

PRODUCTION = {
    "SECRET_KEY": "tested-for-check-deploy-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEF",
    "DATAFOLD_ENCRYPTION_KEYS": "b25seS1mb3ItdGVzdHMtb25seS1mb3ItdGVzdHMtMTI=",
    "ALLOWED_HOSTS": "datafold.example.com",
    "DATAFOLD_PUBLIC_ORIGINS": "https://datafold.example.com",
    "DATAFOLD_TRUSTED_PROXIES": "10.0.0.1/32",
    "DATABASE_URL": "postgres://datafold@database.example.com/datafold",
    "REDIS_URL": "redis://redis.example.com:6379/0",
    "EMAIL_URL": "submission://mail.example.com",
    "DATAFOLD_DEVELOPMENT": "false",
    "DATAFOLD_CORS_ORIGINS": "",
    "DATAFOLD_REQUIRE_MFA": "true",
}


def check_deploy(**variables: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in server_variables()}
    result = run_python(
        ["manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        environment=environment | PRODUCTION | variables,
    )
    return result.stderr if result.returncode else ""


def test_production_settings_leave_check_deploy_silent() -> None:
    assert check_deploy() == ""


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"DATAFOLD_TRUSTED_PROXIES": ""}, "datafold.W006"),
        ({"EMAIL_URL": "console:"}, "datafold.W008"),
        ({"DATAFOLD_CORS_ORIGINS": "*"}, "datafold.E008"),
        ({"DATAFOLD_CORS_ORIGINS": "https://app.example.com/"}, "datafold.E008"),
        ({"DATAFOLD_ANONYMOUS_RATE": "many"}, "datafold.E009"),
    ],
)
def test_risky_settings_are_named(variables: dict[str, str], problem: str) -> None:
    assert problem in check_deploy(**variables)
