"""The database is away: a refusal that says so, never a 500."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.db import connection

from keys import refusals
from tests.api.test_envelope import assert_envelope
from tests.support.client import SignedClient, WireClient
from tests.support.registered import register_active
from tests.support.signing import Signer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.each_stack]


@pytest.fixture
def signed() -> SignedClient:
    return SignedClient(register_active("orphan"), raise_request_exception=False)


@pytest.fixture
def away(signed: SignedClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on every new connection to the database fails."""
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "NAME", "/nowhere/at/all")


def test_a_signed_write_is_refused_and_may_be_sent_again(signed: SignedClient, away: None) -> None:
    schema = {"name": "orders", "fields": [{"name": "id", "type": "string"}]}
    answer = signed.call("POST", "/api/v1/schemas", schema)
    assert_envelope(answer, status=503, code="SERVICE_UNAVAILABLE")
    assert answer["Retry-After"]


def test_a_registration_is_refused_with_what_to_do(away: None, settings: Any) -> None:
    browser = WireClient(raise_request_exception=False)
    answer = browser.post(
        "/api/v1/crypto/keys/register",
        {"client_id": "newcomer", "public_key": Signer().public_hex},
        content_type="application/json",
    )
    body = assert_envelope(answer, status=503, code="SERVICE_UNAVAILABLE")
    assert answer["Retry-After"]
    assert "database" in body["error"]["message"]
    assert "nowhere" not in answer.content.decode()


def test_a_page_is_refused_as_well(away: None) -> None:
    answer = WireClient(raise_request_exception=False).get(
        "/admin/", headers={"Cookie": "sessionid=" + "x" * 32}
    )
    assert_envelope(answer, status=503, code="SERVICE_UNAVAILABLE")
    assert answer["Retry-After"]


def test_refusals_that_cannot_be_written_cost_one_line_of_the_log(
    away: None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        WireClient().get("/api/v1/auth/me", headers={"Signature-Input": "?", "Signature": "?"})
        refusals.flush()
    lost = [record for record in caplog.records if "could not be written" in record.getMessage()]
    assert len(lost) == 1
    assert lost[0].exc_info is None
