"""NUL, which PostgreSQL's texts cannot hold, and which nobody's name or search contains: refused once, early."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import settings

from keys import refusals
from keys.models import Refusal, RefusalCount
from tests.operators.support import make_operator
from tests.support.client import SignedClient, WireClient

pytestmark = pytest.mark.django_db
JUNK = {"Signature-Input": "sig=x", "Signature": "sig=y"}
TARGETS = [
    "/api/v1/crypto/keys/status/a%00",
    "/api/v1/schemas/%00",
    "/api/v1/operators/clients/%00",
    "/api/v1/schemas?name=%00",
    "/%00",
    "/admin/keys/key/?q=a%00b",
    "/account/login/?next=%00",
    "/health/?a=%00",
]


def refused(answer: Any) -> None:
    assert answer.status_code == 400, answer.content
    error = answer.json()["error"]
    assert error["code"] == "INVALID_REQUEST"
    assert "%00" in error["message"]


@pytest.mark.parametrize("target", TARGETS)
def test_it_is_refused_wherever_it_stands_in_the_target(client: WireClient, target: str) -> None:
    refused(client.get(target))
    refused(client.get(target, headers=JUNK))


def test_it_is_refused_from_who_may_do_everything(signed_client: SignedClient) -> None:
    refused(signed_client.call("GET", "/api/v1/schemas/%00"))
    admin = make_operator("admin")
    browser = WireClient()
    browser.force_login(admin.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    for target in ("/admin/keys/key/?q=%00", "/admin/accounts/user/?q=%00", "/admin/search/?s=%00"):
        refused(browser.get(target))
    refused(browser.post("/api/v1/operators/clients/%00/suspend", {}, content_type="application/json"))


def test_a_session_of_such_a_name_is_refused(client: WireClient) -> None:
    cookie = rf'{settings.SESSION_COOKIE_NAME}="aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\000"'
    refused(client.get("/admin/", HTTP_COOKIE=cookie))
    assert client.get("/health/live", HTTP_COOKIE=r'else="\000"').status_code == 200


@pytest.fixture
def buffer() -> Any:
    refusals._buffer.cache_clear()
    yield
    refusals.forget()


def refusal(**fields: Any) -> Refusal:
    values = {"code": "SIGNATURE_MALFORMED", "created_at": datetime.now(UTC), "claimed_client_id": "one"}
    return Refusal(**{**values, "method": "GET", "path": "/", "details": {}, **fields})


BAD: list[tuple[str, Callable[[], Refusal]]] = [
    ("no path", lambda: refusal(path=None)),
    ("a lone surrogate", lambda: refusal(path="\ud800")),
]


@pytest.mark.parametrize("bad", [make for _, make in BAD], ids=[name for name, _ in BAD])
def test_a_refusal_that_cannot_be_written_costs_no_other(
    buffer: None, bad: Callable[[], Refusal], caplog: pytest.LogCaptureFixture
) -> None:
    buffered = refusals.RefusalBuffer()
    for row in (refusal(request_id="before"), bad(), refusal(request_id="after")):
        buffered._waiting.append(row)
        buffered._counts[refusal().created_at.replace(minute=0, second=0, microsecond=0), row.code] += 1
    buffered.flush()
    assert set(Refusal.objects.values_list("request_id", flat=True)) == {"before", "after"}
    assert sum(RefusalCount.objects.values_list("count", flat=True)) == 3
    assert "could not be written" in caplog.text


def test_what_only_postgresql_refuses_costs_no_other_either(buffer: None) -> None:
    buffered = refusals.RefusalBuffer()
    for path in ("/a", "/\0", "/b"):
        buffered.add(refusal(path=path, claimed_client_id=f"client of {path}"))
    buffered.flush()
    assert {"/a", "/b"} <= set(Refusal.objects.values_list("path", flat=True))
