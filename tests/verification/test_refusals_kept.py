"""Refusals are kept, bounded, for the operator who is asked about a request id."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError

from keys import refusals
from keys.models import Refusal, RefusalCount
from tests.support.client import ORIGIN, WireClient
from tests.support.registered import register_active
from tests.support.server import DataFoldServer
from tests.support.signing import SignedRequest, Signer
from tests.verification.wire import me as call
from tests.verification.wire import send

pytestmark = pytest.mark.django_db


def me(signer: Signer, **signing: Any) -> SignedRequest:
    return signer.sign("GET", f"{ORIGIN}/api/v1/auth/me", **signing)


def test_a_refusal_is_found_by_its_request_id_with_the_same_explanation(client: WireClient) -> None:
    signer = register_active("refused-client")
    signed = me(Signer("refused-client"))
    refused = client.send(signed)
    kept = Refusal.objects.get(request_id=refused["X-Request-ID"])
    error = refused.json()["error"]
    assert kept.code == error["code"] == "SIGNATURE_VERIFICATION_FAILED"
    assert error["message"].startswith(kept.message)
    assert kept.details["lines"] == error["details"]["lines"]
    assert (kept.claimed_client_id, kept.method, kept.path) == ("refused-client", "GET", "/api/v1/auth/me")
    assert kept.address == "127.0.0.1"
    assert client.send(me(signer)).status_code == 200
    assert Refusal.objects.count() == 1


def test_what_claims_no_signature_is_no_refusal_of_one(client: WireClient) -> None:
    assert client.get("/api/v1/auth/me").status_code == 401
    assert client.get("/api/v1/nothing/here").status_code == 404
    refusals.flush()
    assert Refusal.objects.count() == 0


def test_the_claimed_client_of_a_thumbprint_is_its_client(client: WireClient) -> None:
    from tests.support.registered import public_key

    signer = register_active("by-thumbprint")
    client.send(me(Signer(public_key(signer).thumbprint)))
    assert Refusal.objects.get().claimed_client_id == "by-thumbprint"


def test_the_text_of_lines_is_not_kept(client: WireClient) -> None:
    """It may hold credentials that the signature covers."""
    register_active("lenient-refused", profile="lenient")
    signed = Signer("lenient-refused").sign(
        "GET",
        f"{ORIGIN}/api/v1/auth/me",
        headers={"X-Secret": "hunter2"},
        covered=("@method", "@target-uri", "x-secret"),
    )
    assert "hunter2" in client.send(signed).content.decode()
    assert "hunter2" not in json.dumps(Refusal.objects.get().details)


def test_a_flood_from_one_address_is_counted_and_not_kept() -> None:
    client = WireClient(REMOTE_ADDR="192.0.2.40")
    register_active("flooded-client")
    for _ in range(60):
        client.send(me(Signer("flooded-client")))
    refusals.flush()
    assert sum(RefusalCount.objects.values_list("count", flat=True)) == 60
    assert Refusal.objects.count() <= 2 * refusals.KEPT_PER_ADDRESS_AND_MINUTE


def test_a_flood_from_one_ipv6_network_does_not_crowd_out_the_refusals_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refusals, "KEPT_PER_ADDRESS_AND_MINUTE", 3)
    monkeypatch.setattr(refusals, "BUFFERED", 5)
    register_active("flooded-client")
    early = WireClient(REMOTE_ADDR="192.0.2.50")
    early.send(me(Signer("flooded-client")))
    for number in range(10):
        WireClient(REMOTE_ADDR=f"2001:db8:1:2::{number:x}").send(me(Signer("flooded-client")))
    late = WireClient(REMOTE_ADDR="192.0.2.51").send(me(Signer("flooded-client")))
    for number in range(60, 70):
        WireClient(REMOTE_ADDR=f"192.0.2.{number}").send(me(Signer("flooded-client")))
    again = early.send(me(Signer("flooded-client")))
    refusals.flush()
    assert Refusal.objects.filter(address__startswith="2001:db8:1:2:").count() <= 2 * 3
    kept = Refusal.objects.values_list("request_id", flat=True)
    assert {late["X-Request-ID"], again["X-Request-ID"]} <= set(kept)


def test_only_the_newest_of_a_client_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "KEPT_PER_CLIENT", 5)
    register_active("often-refused")
    last = None
    for number in range(12):
        last = WireClient(REMOTE_ADDR=f"192.0.2.{number}").send(me(Signer("often-refused")))
    refusals.flush()
    assert Refusal.objects.filter(claimed_client_id="often-refused").count() == 5
    assert last is not None
    assert Refusal.objects.filter(request_id=last["X-Request-ID"]).exists()


def test_made_up_clients_do_not_fill_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "KEPT_IN_ALL", 10)
    for number in range(25):
        WireClient(REMOTE_ADDR=f"192.0.2.{number}").send(me(Signer(f"made-up-{number}")))
    refusals.flush()
    assert Refusal.objects.count() <= 10


def test_a_database_that_fails_does_not_break_the_answer(
    client: WireClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise DatabaseError("disk full")

    register_active("unlucky")
    monkeypatch.setattr(refusals, "_write", fail)
    assert client.send(me(Signer("unlucky"))).status_code == 401
    assert "could not be written" in caplog.text


def test_a_running_server_keeps_them_by_the_second_and_at_its_end(
    start_server: Callable[..., DataFoldServer],
) -> None:
    server = start_server("refusals", WORKERS="1", DATAFOLD_REGISTRATION_POLICY="open")
    ids = {send(server, call(server, Signer("nobody-known"))).fields["X-Request-ID"] for _ in range(4)}
    server.stop()
    found = server.manage(
        "shell",
        "--no-imports",
        "-c",
        "from keys.models import Refusal\nprint(*Refusal.objects.values_list('request_id', flat=True))",
    )
    assert set(found.stdout.split()) == ids
