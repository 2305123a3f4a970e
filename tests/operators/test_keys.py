"""The calls about keys: a decision is bound to what was seen, explained, and by name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from accounts.audit import Actor
from accounts.models import AuditEvent, Client
from keys import lifecycle
from keys.models import Key
from tests.operators.support import API, Operator, error_code
from tests.support.client import SignedClient, WireClient
from tests.support.registered import register_active, register_pending
from tests.support.services import free_port
from tests.support.signing import Signer

MakeOperator = Callable[..., Operator]


@pytest.fixture
def manager(operator: MakeOperator) -> Operator:
    return operator("manager")


def pending(client_id: str = "waiting-client") -> Key:
    register_pending(client_id)
    return Key.objects.get(client__client_id=client_id)


def active(client_id: str = "running-client") -> tuple[Key, Signer]:
    signer = register_active(client_id)
    return Key.objects.get(client__client_id=client_id), signer


def seen(operator: Operator, key: Key) -> str:
    token: str = operator.call("GET", f"keys/{key.pk}").json()["data"]["seen"]
    return token


def test_approve_lets_the_client_in(manager: Operator) -> None:
    signer = register_pending("waiting-client")
    key = Key.objects.get()
    client = SignedClient(signer)
    assert error_code(client.call("GET", "/api/v1/auth/me")) == "KEY_NOT_ACTIVE"
    answer = manager.call("POST", f"keys/{key.pk}/approve", {"seen": seen(manager, key)})
    assert answer.status_code == 200
    assert answer.json()["data"]["status"] == "active"
    assert answer.json()["data"]["decided_by"] == manager.user.username
    assert client.call("GET", "/api/v1/auth/me").status_code == 200
    event = AuditEvent.objects.get(action="key.approved")
    assert (event.actor_kind, event.actor_label) == ("operator", manager.user.username)


def test_approve_takes_terms(manager: Operator) -> None:
    key = pending()
    body = {
        "thumbprint": key.thumbprint,
        "expires_at": "2100-01-01T00:00:00Z",
        "scopes": ["schemas:read"],
        "profile": "strict",
    }
    data = manager.call("POST", f"keys/{key.pk}/approve", body).json()["data"]
    assert data["expires_at"].startswith("2100-01-01")
    client = Client.objects.get(client_id="waiting-client")
    assert (client.scopes, client.profile) == (["schemas:read"], "strict")


def test_bad_terms_are_422_and_change_nothing(manager: Operator) -> None:
    key = pending()
    body = {"thumbprint": key.thumbprint, "scopes": ["everything"]}
    answer = manager.call("POST", f"keys/{key.pk}/approve", body)
    assert answer.status_code == 422, answer.content
    key.refresh_from_db()
    assert key.status == "pending"


@pytest.mark.parametrize(("verb", "status"), [("reject", "rejected"), ("revoke", "revoked")])
def test_a_pending_key_can_be_turned_down(manager: Operator, verb: str, status: str) -> None:
    key = pending()
    answer = manager.call(
        "POST", f"keys/{key.pk}/{verb}", {"thumbprint": key.thumbprint, "reason": "unknown"}
    )
    assert answer.json()["data"]["status"] == status


def test_a_revoked_key_is_refused_from_the_next_request_on(manager: Operator) -> None:
    key, signer = active()
    client = SignedClient(signer)
    assert client.call("GET", "/api/v1/auth/me").status_code == 200
    body = {
        "thumbprint": key.thumbprint,
        "revocation_reason": "keyCompromise",
        "compromised_since": "2026-01-01T00:00:00Z",
    }
    assert manager.call("POST", f"keys/{key.pk}/revoke", body).status_code == 200
    assert error_code(client.call("GET", "/api/v1/auth/me")) == "KEY_REVOKED"


def test_suspend_and_reactivate_need_reasons(manager: Operator) -> None:
    key, _ = active()
    named = {"thumbprint": key.thumbprint}
    assert error_code(manager.call("POST", f"keys/{key.pk}/suspend", named)) == "REASON_MISSING"
    assert (
        manager.call("POST", f"keys/{key.pk}/suspend", {**named, "reason": "odd traffic"}).status_code == 200
    )
    assert error_code(manager.call("POST", f"keys/{key.pk}/reactivate", named)) == "REASON_MISSING"
    assert (
        manager.call("POST", f"keys/{key.pk}/reactivate", {**named, "reason": "explained"}).status_code == 200
    )


def test_who_decides_where_redis_cannot_be_told_hears_what_that_means(
    manager: Operator, settings: Any
) -> None:
    key, _ = active()
    assert manager.call("GET", f"keys/{key.pk}").status_code == 200  # with a token from here on
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    named = {"thumbprint": key.thumbprint, "reason": "odd traffic"}
    answer = manager.call("POST", f"keys/{key.pk}/suspend", named).json()
    assert answer["data"]["status"] == "suspended"
    [warning] = answer["meta"]["warnings"]
    assert "may still let in" in warning


def test_rotation_is_asked_for(manager: Operator) -> None:
    key, _ = active()
    body = {"thumbprint": key.thumbprint, "rotate_by": "2100-01-01T00:00:00Z", "reason": "the yearly one"}
    answer = manager.call("POST", f"keys/{key.pk}/request-rotation", body)
    assert answer.json()["data"]["rotate_by"].startswith("2100-01-01")
    assert AuditEvent.objects.get(action="key.rotation_requested").reason == "the yearly one"


def test_roll_back_and_retire(manager: Operator) -> None:
    key, _ = active()
    lifecycle.start_retirement(key, actor=Actor.system("tests"), grace=timedelta(days=1))
    named = {"thumbprint": key.thumbprint, "reason": "the new one fails"}
    assert manager.call("POST", f"keys/{key.pk}/roll-back", named).json()["data"]["status"] == "active"
    key.refresh_from_db()
    lifecycle.start_retirement(key, actor=Actor.system("tests"), grace=timedelta(days=1))
    assert manager.call("POST", f"keys/{key.pk}/retire", named).json()["data"]["status"] == "retired"


def test_a_compromise_is_reported_of_a_key_that_verifies_no_more(manager: Operator) -> None:
    key, _ = active()
    path, named = f"keys/{key.pk}/report-compromise", {"thumbprint": key.thumbprint, "reason": "found late"}
    body = {**named, "compromised_since": "2026-01-01T00:00:00Z"}
    assert error_code(manager.call("POST", path, body)) == "KEY_STATE_CONFLICT"
    lifecycle.expire(key, actor=Actor.system("tests"))
    assert error_code(manager.call("POST", path, named)) == "VALIDATION_FAILED"
    assert error_code(manager.call("POST", path, {**body, "reason": ""})) == "REASON_MISSING"
    for moment in ("2026-01-01T00:00:00Z", "2025-01-01T00:00:00Z"):
        answer = manager.call("POST", path, {**body, "compromised_since": moment})
        data = answer.json()["data"]
        assert (data["status"], data["compromised_since"]) == ("expired", moment)
    moved = AuditEvent.objects.filter(action="key.compromised").latest("id")
    assert moved.before == {"compromised_since": "2026-01-01T00:00:00+00:00"}


def test_a_decision_names_what_it_is_about(manager: Operator) -> None:
    key, other = pending(), pending("another-client")
    assert error_code(manager.call("POST", f"keys/{key.pk}/approve", {})) == "VALIDATION_FAILED"
    for body in ({"thumbprint": other.thumbprint}, {"seen": seen(manager, other)}, {"seen": "forged"}):
        answer = manager.call("POST", f"keys/{key.pk}/approve", body)
        assert (answer.status_code, error_code(answer)) == (409, "DECISION_STALE")
    key.refresh_from_db()
    assert key.status == "pending"


def test_a_decision_on_what_changed_meanwhile_is_refused(manager: Operator) -> None:
    key = pending()
    token = seen(manager, key)
    Client.objects.filter(pk=key.client_id).update(name="Another name")
    answer = manager.call("POST", f"keys/{key.pk}/approve", {"seen": token})
    assert error_code(answer) == "DECISION_STALE"
    assert answer.json()["error"]["details"]["changes"] == [
        {"fact": "client's name", "seen": "", "now": "Another name"}
    ]
    refused = AuditEvent.objects.get(action="key.decision_refused")
    assert refused.after == {"decision": "approve", "code": "DECISION_STALE"}
    assert refused.actor_label == manager.user.username


def test_the_second_decision_on_a_key_is_told_that_it_came_second(operator: MakeOperator) -> None:
    key = pending()
    first, second = operator("manager"), operator("manager")
    named = {"thumbprint": key.thumbprint, "reason": "why"}
    assert first.call("POST", f"keys/{key.pk}/approve", named).status_code == 200
    answer = second.call("POST", f"keys/{key.pk}/reject", named)
    assert (answer.status_code, error_code(answer)) == (409, "KEY_STATE_CONFLICT")


def test_four_eyes(operator: MakeOperator, settings: Any) -> None:
    settings.DATAFOLD_FOUR_EYES = True
    owner, first, second = operator("manager"), operator("manager"), operator("admin")
    key = pending()
    Client.objects.filter(pk=key.client_id).update(owner=owner.user)
    named = {"thumbprint": key.thumbprint}
    path = f"keys/{key.pk}/approve"
    assert error_code(owner.call("POST", path, named)) == "FOUR_EYES_REFUSED"
    data = first.call("POST", path, named).json()["data"]
    assert (data["status"], data["approvals_needed"]) == ("pending", 2)
    assert [approval["operator"] for approval in data["approvals"]] == [first.user.username]
    assert error_code(first.call("POST", path, named)) == "FOUR_EYES_REFUSED"
    assert second.call("POST", path, named).json()["data"]["status"] == "active"


def test_nobody_approves_what_they_invited_under_four_eyes(operator: MakeOperator, settings: Any) -> None:
    settings.DATAFOLD_FOUR_EYES = True
    inviter = operator("manager")
    token = inviter.call("POST", "enrolment-tokens", {"note": "mine"}).json()["data"]["token"]
    register_pending("invited-client", enrolment_token=token)
    key = Key.objects.get()
    answer = inviter.call("POST", f"keys/{key.pk}/approve", {"thumbprint": key.thumbprint})
    assert error_code(answer) == "FOUR_EYES_REFUSED"


def test_the_key_shows_what_may_be_decided(operator: MakeOperator, manager: Operator) -> None:
    key = pending()
    assert manager.call("GET", f"keys/{key.pk}").json()["data"]["decisions"] == [
        "approve",
        "reject",
        "revoke",
    ]
    assert operator("auditor").call("GET", f"keys/{key.pk}").json()["data"]["decisions"] == []


def test_list_filters_and_pages(manager: Operator) -> None:
    for number in range(3):
        pending(f"waiting-{number}")
    active("running")
    listed = manager.call("GET", "keys?status=pending&limit=2").json()
    assert [key["client_id"] for key in listed["data"]] == ["waiting-2", "waiting-1"]
    cursor = listed["meta"]["pagination"]["next_cursor"]
    rest = manager.call("GET", f"keys?status=pending&limit=2&cursor={cursor}").json()["data"]
    assert [key["client_id"] for key in rest] == ["waiting-0"]
    assert len(manager.call("GET", "keys?client_id=running").json()["data"]) == 1
    assert error_code(manager.call("GET", "keys?status=asleep")) == "VALIDATION_FAILED"


def test_a_session_decides_only_with_csrf(operator: MakeOperator, browser_client: WireClient) -> None:
    key = pending()
    browser_client.force_login(operator("manager").user)
    body = {"thumbprint": key.thumbprint}
    url = f"{API}/keys/{key.pk}/approve"
    assert error_code(browser_client.post(url, body, content_type="application/json")) == "CSRF_FAILED"
    key.refresh_from_db()
    assert key.status == "pending"


def test_the_first_of_two_approvals_says_that_another_is_needed(
    operator: MakeOperator, settings: Any
) -> None:
    settings.DATAFOLD_FOUR_EYES = True
    key = pending()
    first, second = operator("manager"), operator("manager")
    answer = first.call("POST", f"keys/{key.pk}/approve", {"thumbprint": key.thumbprint}).json()
    assert answer["data"]["status"] == "pending"
    assert answer["meta"]["action"] == "key_approval_recorded"
    assert "another operator" in answer["meta"]["warnings"][0]
    again = first.call("POST", f"keys/{key.pk}/approve", {"thumbprint": key.thumbprint})
    assert error_code(again) == "FOUR_EYES_REFUSED"
    answer = second.call("POST", f"keys/{key.pk}/approve", {"thumbprint": key.thumbprint}).json()
    assert (answer["data"]["status"], answer["meta"]["action"]) == ("active", "key_approve")


def test_an_attempt_that_the_role_does_not_allow_is_on_record(operator: MakeOperator) -> None:
    key, auditor = pending(), operator("auditor")
    answer = auditor.call("POST", f"keys/{key.pk}/approve", {"thumbprint": key.thumbprint})
    assert error_code(answer) == "PERMISSION_DENIED"
    event = AuditEvent.objects.get(action="key.decision_refused")
    assert (event.actor_label, event.target_id) == (auditor.user.username, str(key.pk))
    assert event.after == {"decision": "approve", "code": "PERMISSION_DENIED"}


def test_another_keys_thumbprint_decides_nothing_and_is_on_record(manager: Operator) -> None:
    key, other = pending(), pending("another-client")
    answer = manager.call("POST", f"keys/{key.pk}/approve", {"thumbprint": other.thumbprint})
    assert error_code(answer) == "DECISION_STALE"
    assert AuditEvent.objects.get(action="key.decision_refused").target_id == str(key.pk)


def test_dates_that_make_no_sense_are_422(manager: Operator) -> None:
    key = pending()
    for verb, member in (("approve", "expires_at"), ("revoke", "compromised_since")):
        moment = "2001-01-01T00:00:00Z" if verb == "approve" else "2999-01-01T00:00:00Z"
        body = {"thumbprint": key.thumbprint, member: moment}
        answer = manager.call("POST", f"keys/{key.pk}/{verb}", body)
        assert answer.status_code == 422, answer.content
        assert member in str(answer.json()["error"]["details"])
