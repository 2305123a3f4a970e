"""The calls about clients, enrolment tokens and the audit log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import AuditEvent, Client
from keys.models import EnrolmentToken
from tests.operators.support import Operator, error_code
from tests.support.client import SignedClient
from tests.support.registered import register_active, register_pending

MakeOperator = Callable[..., Operator]


@pytest.fixture
def manager(operator: MakeOperator) -> Operator:
    return operator("manager")


def test_create_then_invite(manager: Operator) -> None:
    body = {"client_id": "billing", "owner": manager.user.username, "scopes": ["schemas:read"]}
    answer = manager.call("POST", "clients", body)
    assert answer.status_code == 201
    assert answer.json()["data"]["registered_by"] == manager.user.username
    issued = manager.call("POST", "enrolment-tokens", {"client_id": "billing", "lifetime_hours": 1})
    assert issued.status_code == 201
    token = issued.json()["data"]["token"]
    register_pending("billing", enrolment_token=token)
    listed = manager.call("GET", "enrolment-tokens?used=true").json()["data"]
    assert listed[0]["client_id"] == "billing"
    assert token not in str(listed)
    assert token not in str(list(EnrolmentToken.objects.values()))


def test_changes_count_from_the_next_request_on(manager: Operator) -> None:
    client = SignedClient(register_active("billing"))
    assert client.call("GET", "/api/v1/auth/me").json()["data"]["profile"] == "standard"
    answer = manager.call(
        "PATCH", "clients/billing", {"allowed_networks": ["203.0.113.0/24"], "reason": "only from the office"}
    )
    assert answer.json()["data"]["allowed_networks"] == ["203.0.113.0/24"]
    assert error_code(client.call("GET", "/api/v1/auth/me")) == "NETWORK_NOT_ALLOWED"
    event = AuditEvent.objects.get(action="client.changed")
    assert event.reason == "only from the office"
    assert event.before == {"allowed_networks": []}


def test_the_owner_is_an_active_operator(manager: Operator) -> None:
    register_active("billing")
    assert error_code(manager.call("PATCH", "clients/billing", {"owner": "nobody"})) == "VALIDATION_FAILED"
    data = manager.call("PATCH", "clients/billing", {"owner": manager.user.username}).json()["data"]
    assert data["owner"] == manager.user.username
    assert manager.call("PATCH", "clients/billing", {"owner": None}).json()["data"]["owner"] is None


@pytest.mark.parametrize(
    "body",
    [
        {"scopes": ["everything"]},
        {"scopes": "schemas:read"},
        {"profile": "none"},
        {"allowed_networks": ["10.0.0.0/99"]},
        {"rate_limit": 0},
        {"rate_limit": 10**12},
        {"metadata": {"a": "x" * 300}},
        {"metadata": [1]},
        {"contact_email": "x"},
        {"name": "x" * 101},
        {"name": None},
        [],
    ],
)
def test_bad_changes_are_422_and_change_nothing(manager: Operator, body: Any) -> None:
    register_active("billing")
    before = Client.objects.values().get()
    answer = manager.call("PATCH", "clients/billing", body)
    assert answer.status_code == 422, answer.content
    assert Client.objects.values().get() == before


def test_suspend_and_reactivate(manager: Operator) -> None:
    client = SignedClient(register_active("billing"))
    assert error_code(manager.call("POST", "clients/billing/suspend", {})) == "REASON_MISSING"
    assert manager.call("POST", "clients/billing/suspend", {"reason": "invoice"}).status_code == 200
    assert error_code(client.call("GET", "/api/v1/auth/me")) == "CLIENT_SUSPENDED"
    again = manager.call("POST", "clients/billing/suspend", {"reason": "invoice"})
    assert (again.status_code, error_code(again)) == (409, "CLIENT_STATE_CONFLICT")
    assert error_code(manager.call("POST", "clients/billing/reactivate", {"reason": ""})) == "REASON_MISSING"
    assert manager.call("POST", "clients/billing/reactivate", {"reason": "paid"}).status_code == 200
    assert client.call("GET", "/api/v1/auth/me").status_code == 200


def test_list_filters_and_pages(manager: Operator) -> None:
    for name in ("a-1", "a-2", "a-3", "b-1"):
        register_pending(name)
    listed = manager.call("GET", "clients?client_id=a-&limit=2").json()
    assert [client["client_id"] for client in listed["data"]] == ["a-1", "a-2"]
    cursor = listed["meta"]["pagination"]["next_cursor"]
    rest = manager.call("GET", f"clients?client_id=a-&limit=2&cursor={cursor}").json()["data"]
    assert [client["client_id"] for client in rest] == ["a-3"]
    assert manager.call("GET", "clients?status=suspended").json()["data"] == []


def test_a_client_id_is_taken_once(manager: Operator) -> None:
    register_active("billing")
    assert manager.call("POST", "clients", {"client_id": "billing"}).status_code == 422


@pytest.mark.parametrize(
    "body", [{"client_id": "no-such"}, {"lifetime_hours": 0}, {"lifetime_hours": 10**9}, {"note": "x" * 201}]
)
def test_bad_invitations_are_refused(manager: Operator, body: dict[str, Any]) -> None:
    assert manager.call("POST", "enrolment-tokens", body).status_code in (404, 422)
    assert not EnrolmentToken.objects.exists()


def test_the_audit_log_is_read_by_filters(operator: MakeOperator, manager: Operator) -> None:
    register_active("billing")
    manager.call("POST", "clients/billing/suspend", {"reason": "invoice"})
    auditor = operator("auditor")
    found = auditor.call(
        "GET", "audit/events?target_kind=client&target_id=billing&action=client.suspended"
    ).json()
    (event,) = found["data"]
    assert (event["actor_label"], event["reason"]) == (manager.user.username, "invoice")
    assert event["after"] == {"status": "suspended"}
    assert auditor.call("GET", f"audit/events/{event['id']}").json()["data"] == event
    assert auditor.call("GET", "audit/events?since=2100-01-01T00:00:00Z").json()["data"] == []
    page = auditor.call("GET", "audit/events?limit=1").json()
    assert page["meta"]["pagination"]["has_more"]
    assert (
        auditor.call(
            "GET", "audit/events?limit=1&cursor=" + page["meta"]["pagination"]["next_cursor"]
        ).json()["data"]
        != page["data"]
    )
    assert error_code(auditor.call("GET", "audit/events?since=yesterday")) == "VALIDATION_FAILED"
