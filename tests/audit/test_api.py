from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group

from accounts.audit_check import document_problem
from accounts.models import AuditEvent, User
from accounts.roles import Role
from tests.audit.log import append, seal
from tests.support.client import SignedClient, WireClient
from tests.support.registered import register_active

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.audit.urls")]

LATEST = "/api/v1/audit/checkpoints/latest"


@pytest.fixture
def auditor() -> WireClient:
    user = User.objects.create_user("ada")
    user.groups.add(Group.objects.get(name=Role.AUDITOR))
    client = WireClient()
    client.force_login(user)
    return client


@pytest.fixture
def machine() -> SignedClient:
    return SignedClient(register_active("machine-1"))


def test_a_client_can_pin_the_latest_checkpoint(machine: SignedClient) -> None:
    seal()
    response = machine.call("GET", LATEST)
    assert response.status_code == 200
    assert document_problem(response.json()["data"]) == ""


def test_a_changed_checkpoint_document_is_refused(machine: SignedClient) -> None:
    seal()
    document = machine.call("GET", LATEST).json()["data"]
    changes: list[dict[str, Any]] = [
        {"tree_size": 1},
        {"hash": "0" * 64},
        {"signature": "AAAA"},
        {"jwk": {}},
        {"type": "x"},
        {"number": 9},
    ]
    for change in changes:
        assert document_problem({**document, **change}) != ""
    assert document_problem([]) != ""


def test_before_the_first_checkpoint_there_is_none(machine: SignedClient) -> None:
    assert machine.call("GET", LATEST).status_code == 404


def test_nobody_else_sees_checkpoints(machine: SignedClient) -> None:
    seal()
    assert WireClient().get(LATEST).status_code == 401
    nobody = WireClient()
    nobody.force_login(User.objects.create_user("norole"))
    assert nobody.get(LATEST).status_code == 403


def test_checkpoints_are_listed_in_pages(auditor: WireClient) -> None:
    for _ in range(3):
        append(1)
        seal()
    first = auditor.get("/api/v1/audit/checkpoints?limit=2").json()
    assert [checkpoint["number"] for checkpoint in first["data"]] == [3, 2]
    cursor = first["meta"]["pagination"]["next_cursor"]
    second = auditor.get("/api/v1/audit/checkpoints", {"limit": 2, "cursor": cursor}).json()
    assert [checkpoint["number"] for checkpoint in second["data"]] == [1]


def test_a_proof_for_the_auditor(auditor: WireClient) -> None:
    event = append(5)[2]
    path = f"/api/v1/audit/events/{event.pk}/proof"
    refused = auditor.get(path)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "AUDIT_EVENT_NOT_SEALED")
    seal()
    proof = auditor.get(path).json()["data"]
    assert proof["event"]["id"] == event.pk
    assert proof["event"]["after"] == {"number": 2, "text": "ö"}
    assert document_problem(proof["checkpoint"]) == ""


@pytest.mark.parametrize("number", ["999999", "99999999999999999999999"])
def test_no_such_event(auditor: WireClient, number: str) -> None:
    response = auditor.get(f"/api/v1/audit/events/{number}/proof")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "AUDIT_EVENT_NOT_FOUND")


def test_a_client_has_proofs_of_its_own_events_only(machine: SignedClient) -> None:
    from accounts.audit import Actor, record_event

    own = record_event(actor=Actor.client("machine-1"), action="schema.created")
    other = record_event(actor=Actor.client("machine-2"), action="schema.created")
    seal()
    assert machine.call("GET", f"/api/v1/audit/events/{own.pk}/proof").status_code == 200
    assert machine.call("GET", f"/api/v1/audit/events/{other.pk}/proof").status_code == 404
    missing: Any = AuditEvent.objects.latest("id").pk + 1000
    assert machine.call("GET", f"/api/v1/audit/events/{missing}/proof").status_code == 404
