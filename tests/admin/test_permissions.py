"""Every action of the admin for every role: who may, who may not, and that looking changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from accounts import operators
from accounts.audit import Actor
from accounts.models import AuditEvent, Client, User
from keys import lifecycle
from keys.decisions import Verb
from keys.models import EnrolmentToken, Key, KeyStatus
from keys.registration import issue_token
from tests.admin.conftest import ROLES, active_key, decide_url, open_page, pending_key

pytestmark = pytest.mark.on_postgres

MAY_DECIDE = {"auditor": False, "manager": True, "admin": True}
FIELDS: dict[Verb, dict[str, Any]] = {
    Verb.APPROVE: {"profile": "standard"},
    Verb.REJECT: {"reason": "unknown team"},
    Verb.SUSPEND: {"reason": "under investigation"},
    Verb.REACTIVATE: {"reason": "all is well"},
    Verb.REVOKE: {"revocation_reason": "keyCompromise"},
    Verb.REQUEST_ROTATION: {},
    Verb.ROLL_BACK: {"reason": "the successor fails"},
    Verb.RETIRE: {},
    Verb.REPORT_COMPROMISE: {"compromised_since": "2026-01-01T00:00", "reason": "found late"},
}
RESULT = {
    Verb.APPROVE: KeyStatus.ACTIVE,
    Verb.REJECT: KeyStatus.REJECTED,
    Verb.SUSPEND: KeyStatus.SUSPENDED,
    Verb.REACTIVATE: KeyStatus.ACTIVE,
    Verb.REVOKE: KeyStatus.REVOKED,
    Verb.REQUEST_ROTATION: KeyStatus.ACTIVE,
    Verb.ROLL_BACK: KeyStatus.ACTIVE,
    Verb.RETIRE: KeyStatus.RETIRED,
    Verb.REPORT_COMPROMISE: KeyStatus.EXPIRED,
}


def key_for(verb: Verb) -> Key:
    """A key in a state that admits the decision."""
    system = Actor.system("tests")
    if verb in (Verb.APPROVE, Verb.REJECT):
        return pending_key("orders")
    key = active_key("orders")
    if verb is Verb.REACTIVATE:
        lifecycle.suspend(key, actor=system, reason="tests")
    if verb in (Verb.ROLL_BACK, Verb.RETIRE):
        lifecycle.start_retirement(key, actor=system, grace=timedelta(hours=1))
    if verb is Verb.REPORT_COMPROMISE:
        lifecycle.expire(key, actor=system)
    return key


@pytest.mark.parametrize("verb", list(Verb))
@pytest.mark.parametrize("role", ROLES)
def test_a_decision_is_taken_by_managers_and_admins_only(
    sit_down: Callable[..., Browser], role: str, verb: Verb
) -> None:
    key = key_for(verb)
    browser = sit_down("pat", role)
    before, events = key.status, AuditEvent.objects.count()
    if not MAY_DECIDE[role]:
        assert browser.get(decide_url(verb, key)).status_code == 403
        forged = {"key": [str(key.pk)], "confirmed": "yes", **FIELDS[verb]}
        assert browser.post(decide_url(verb, key), forged).status_code == 403
        key.refresh_from_db()
        assert key.status == before
        tried = AuditEvent.objects.order_by("-id")[0]
        assert (tried.action, tried.actor_label) == ("key.decision_refused", "pat")
        assert AuditEvent.objects.count() == events + 1
        return
    form = open_page(browser, verb, key)
    assert AuditEvent.objects.count() == events, "looking at the confirmation page must change nothing"
    response = browser.post(decide_url(verb, key), {**form, **FIELDS[verb]})
    assert response.status_code == 302, response.content.decode()
    key.refresh_from_db()
    assert key.status == RESULT[verb]
    event = AuditEvent.objects.order_by("-id")[0]
    assert (event.actor_label, event.target_id) == ("pat", str(key.pk))


@pytest.mark.parametrize("verb", list(Verb))
def test_a_decision_without_a_csrf_token_is_refused(sit_down: Callable[..., Browser], verb: Verb) -> None:
    key = key_for(verb)
    before = key.status
    browser = sit_down("mara", "manager", enforce_csrf_checks=True)
    form = open_page(browser, verb, key)
    assert browser.post(decide_url(verb, key), {**form, **FIELDS[verb]}).status_code == 403
    key.refresh_from_db()
    assert key.status == before


@pytest.mark.parametrize("verb", list(Verb))
def test_a_get_never_decides(manager: Browser, verb: Verb) -> None:
    key = key_for(verb)
    before, events = key.status, AuditEvent.objects.count()
    manager.get(decide_url(verb, key), {"key": str(key.pk), "confirmed": "yes", **FIELDS[verb]})
    key.refresh_from_db()
    assert (key.status, AuditEvent.objects.count()) == (before, events)


def test_the_auditor_sees_no_buttons(auditor: Browser, pending: Key) -> None:
    for url in (reverse("admin:keys_key_queue"), reverse("admin:keys_key_change", args=[pending.pk])):
        page = auditor.get(url)
        assert page.status_code == 200
        assert "decide/" not in page.content.decode()
    assert "bulk_" not in auditor.get(reverse("admin:keys_key_changelist")).content.decode()


def test_a_stranger_is_sent_to_the_login(pending: Key) -> None:
    for url in (decide_url("approve", pending), reverse("admin:keys_key_queue"), reverse("admin:index")):
        response = Browser().get(url)
        assert response.status_code == 302
        assert "login" in response["Location"]


def test_without_a_role_nothing_is_told(sit_down: Callable[..., Browser], pending: Key) -> None:
    """The same answer whether the thing exists or not."""
    browser = sit_down("nobody")
    missing = "00000000-0000-4000-8000-000000000000"
    for existing, absent in [
        (
            reverse("admin:keys_key_change", args=[pending.pk]),
            reverse("admin:keys_key_change", args=[missing]),
        ),
        (
            decide_url("approve", pending),
            reverse("admin:keys_key_decide", args=["approve"]) + f"?key={missing}",
        ),
        (
            reverse("admin:accounts_client_change", args=[pending.client_id]),
            reverse("admin:accounts_client_change", args=[987654]),
        ),
        (
            reverse("admin:accounts_client_switch", args=[pending.client_id, "suspend"]),
            reverse("admin:accounts_client_switch", args=[987654, "suspend"]),
        ),
    ]:
        assert browser.get(existing).status_code == browser.get(absent).status_code == 403
    assert "orders" not in browser.get(reverse("admin:index")).content.decode()
    assert "orders" not in browser.get(reverse("admin:search") + "?s=orders&extended=1").content.decode()


@pytest.mark.parametrize("role", ROLES)
def test_keys_are_never_edited_or_deleted(sit_down: Callable[..., Browser], active: Key, role: str) -> None:
    browser = sit_down("pat", role)
    change = reverse("admin:keys_key_change", args=[active.pk])
    assert browser.post(change, {"status": "revoked", "name": "x"}).status_code == 403
    assert browser.get(reverse("admin:keys_key_delete", args=[active.pk])).status_code == 403
    assert browser.get(reverse("admin:keys_key_add")).status_code == 403
    active.refresh_from_db()
    assert active.status == KeyStatus.ACTIVE


@pytest.mark.parametrize("role", ROLES)
def test_switching_a_client(sit_down: Callable[..., Browser], active: Key, role: str) -> None:
    browser = sit_down("pat", role)
    url = reverse("admin:accounts_client_switch", args=[active.client_id, "suspend"])
    page = browser.get(url)
    assert page.status_code == (200 if MAY_DECIDE[role] else 403)
    seen = page.context["seen"] if MAY_DECIDE[role] else ""
    response = browser.post(url, {"reason": "ticket 7", "seen": seen})
    assert response.status_code == (302 if MAY_DECIDE[role] else 403)
    assert Client.objects.get(pk=active.client_id).status == ("suspended" if MAY_DECIDE[role] else "active")


@pytest.mark.parametrize("role", ROLES)
def test_issuing_and_withdrawing_a_token(
    sit_down: Callable[..., Browser], make_operator: Any, role: str
) -> None:
    token, _ = issue_token(issued_by=make_operator("zoe", "manager"))
    browser = sit_down("pat", role)
    issue = reverse("admin:keys_enrolmenttoken_issue")
    withdraw = reverse("admin:keys_enrolmenttoken_withdraw", args=[token.pk])
    assert (
        browser.get(issue).status_code
        == browser.get(withdraw).status_code
        == (200 if MAY_DECIDE[role] else 403)
    )
    assert EnrolmentToken.objects.count() == 1
    assert browser.post(issue, {"days": 3, "note": ""}).status_code == (200 if MAY_DECIDE[role] else 403)
    assert EnrolmentToken.objects.count() == (2 if MAY_DECIDE[role] else 1)
    assert browser.post(withdraw).status_code == (302 if MAY_DECIDE[role] else 403)
    expires = token.expires_at
    token.refresh_from_db()
    assert (token.expires_at < expires) == MAY_DECIDE[role]


@pytest.mark.parametrize("role", ROLES)
def test_only_admins_manage_operators(
    sit_down: Callable[..., Browser], make_operator: Any, role: str
) -> None:
    other = make_operator("zoe", "auditor")
    browser = sit_down("pat", role)
    change = reverse("admin:accounts_user_change", args=[other.pk])
    assert browser.get(change).status_code == 200, "everybody with a role sees who the operators are"
    form = {"first_name": "Zoë", "email": "", "is_active": "on", "role": "manager", "reason": "promoted"}
    response = browser.post(change, {**form, "seen": operators.snapshot(other)})
    assert response.status_code == (302 if role == "admin" else 403)
    assert [str(held) for held in User.objects.get(pk=other.pk).roles] == [
        "manager" if role == "admin" else "auditor"
    ]
    assert browser.get(reverse("admin:accounts_user_add")).status_code == (200 if role == "admin" else 403)
    assert browser.get(reverse("admin:accounts_user_delete", args=[other.pk])).status_code == 403
