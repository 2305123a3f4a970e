"""Clients and operators are changed through the services: audited, told to the workers, bound to what was seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts import operators
from accounts.audit import Actor
from accounts.clients import change_client, snapshot, suspend_client
from accounts.models import AuditEvent, Client, User
from keys.models import EnrolmentToken, Key, Refusal
from tests.admin.conftest import client_of

SYSTEM = Actor.system("tests")


def form_for(client: Client, **changes: Any) -> dict[str, Any]:
    return {
        "name": client.name,
        "owner": "",
        "contact_email": client.contact_email,
        "scopes": client.scopes,
        "profile": client.profile,
        "allowed_networks": "\n".join(client.allowed_networks),
        "rate_limit": client.rate_limit or "",
        "metadata": "{}",
        "change_reason": "ticket 12",
        "seen": snapshot(client),
        **changes,
    }


def change_url(client: Client) -> str:
    return reverse("admin:accounts_client_change", args=[client.pk])


def test_an_edit_is_audited_and_told_to_the_workers(manager: Browser, active: Key) -> None:
    client = client_of(active)
    epoch = client.epoch
    form = form_for(
        client, scopes=["schemas:read"], allowed_networks="10.0.0.0/8\n192.168.0.0/16", rate_limit="50"
    )
    assert manager.post(change_url(client), form).status_code == 302
    client.refresh_from_db()
    assert (client.scopes, client.rate_limit) == (["schemas:read"], 50)
    assert client.allowed_networks == ["10.0.0.0/8", "192.168.0.0/16"]
    assert client.epoch > epoch
    event = AuditEvent.objects.filter(action="client.changed").latest("id")
    assert event.before is not None
    assert event.after is not None
    assert event.before["rate_limit"] is None
    assert event.after["rate_limit"] == 50
    assert (event.actor_label, event.reason) == ("mara", "ticket 12")


def test_saving_without_a_change_records_nothing(manager: Browser, active: Key) -> None:
    client = client_of(active)
    assert manager.post(change_url(client), form_for(client)).status_code == 302
    assert not AuditEvent.objects.filter(action="client.changed").exists()


@pytest.mark.parametrize("networks", ["10.0.0.0/99", "everywhere"])
def test_a_wrong_network_is_refused(manager: Browser, active: Key, networks: str) -> None:
    client = client_of(active)
    response = manager.post(change_url(client), form_for(client, allowed_networks=networks))
    assert "is not a network in CIDR notation" in response.content.decode()


def test_a_stale_edit_is_refused(manager: Browser, active: Key) -> None:
    client = client_of(active)
    form = form_for(client, name="mine")
    change_client(client, actor=SYSTEM, changes={"profile": "strict"})
    response = manager.post(change_url(client), form)
    assert "changed while you were looking (profile)" in response.content.decode()
    client.refresh_from_db()
    assert client.name != "mine"


def test_the_auditor_cannot_edit(auditor: Browser, active: Key) -> None:
    client = client_of(active)
    assert auditor.get(change_url(client)).status_code == 200
    assert auditor.post(change_url(client), form_for(client, name="x")).status_code == 403


def test_the_page_shows_keys_refusals_and_tokens(auditor: Browser, active: Key) -> None:
    Refusal.objects.create(
        created_at=timezone.now(),
        request_id="r-1",
        claimed_client_id="orders",
        code="DIGEST_MISMATCH",
        message="The body that arrived has another digest.",
        method="POST",
        path="/api/v1/schemas",
    )
    text = auditor.get(change_url(client_of(active))).content.decode()
    for fact in (active.thumbprint[:12], "The body that arrived has another digest.", "Enrolment tokens"):
        assert fact in text
    assert "Suspend the client" not in text


def test_suspending_and_letting_in_again_both_demand_a_reason(manager: Browser, active: Key) -> None:
    client = client_of(active)
    url = reverse("admin:accounts_client_switch", args=[client.pk, "suspend"])
    page = manager.get(url)
    assert "none of the keys" in page.content.decode()
    assert "Left without a key" in page.content.decode()
    assert manager.post(url, {"reason": " ", "seen": page.context["seen"]}).status_code == 200
    assert client_of(active).status == "active"
    manager.post(url, {"reason": "stolen host", "seen": page.context["seen"]})
    assert (client_of(active).status, client_of(active).status_reason) == ("suspended", "stolen host")
    back = reverse("admin:accounts_client_switch", args=[client.pk, "reactivate"])
    page = manager.get(back)
    assert "Left without a key" not in page.content.decode(), "letting in leaves nobody without"
    seen = page.context["seen"]
    assert manager.post(back, {"reason": "", "seen": seen}).status_code == 200
    assert client_of(active).status == "suspended"
    assert manager.post(back, {"reason": "host rebuilt", "seen": seen}).status_code == 302
    assert client_of(active).status == "active"


def test_a_stale_suspension_is_refused(manager: Browser, active: Key) -> None:
    url = reverse("admin:accounts_client_switch", args=[active.client_id, "suspend"])
    seen = manager.get(url).context["seen"]
    suspend_client(client_of(active), actor=SYSTEM, reason="somebody was faster")
    response = manager.post(url, {"reason": "late", "seen": seen})
    assert response.status_code == 409
    assert client_of(active).status_reason == "somebody was faster"


def test_a_new_client_starts_with_the_default_scopes(manager: Browser) -> None:
    form = manager.get(reverse("admin:accounts_client_add")).context["adminform"].form
    assert form["scopes"].value() == ["schemas:read", "schemas:write", "keys:rotate"]


def test_a_new_client_is_recorded_with_who_registered_it(manager: Browser) -> None:
    form = {
        "client_id": "invoices",
        "name": "Invoices",
        "profile": "standard",
        "metadata": "{}",
        "scopes": [],
    }
    assert manager.post(reverse("admin:accounts_client_add"), form).status_code == 302
    client = Client.objects.get(client_id="invoices")
    assert client.registered_by is not None
    assert client.registered_by.username == "mara"
    assert AuditEvent.objects.filter(action="client.created", target_id="invoices").exists()


def test_a_token_is_shown_once_and_kept_as_a_hash(manager: Browser, active: Key) -> None:
    url = reverse("admin:keys_enrolmenttoken_issue") + f"?client={active.client_id}"
    response = manager.post(url, {"days": 2, "note": "rack 4", "client": active.client_id})
    token = response.context["token"]
    assert token in response.content.decode()
    assert "no-store" in response["Cache-Control"]
    row = EnrolmentToken.objects.get()
    assert token not in str(EnrolmentToken.objects.values().get())
    for page in (reverse("admin:keys_enrolmenttoken_change", args=[row.pk]), change_url(client_of(active))):
        assert token not in manager.get(page).content.decode()


def test_nobody_raises_their_own_role(admin: Browser) -> None:
    ada = User.objects.get(username="ada")
    url = reverse("admin:accounts_user_change", args=[ada.pk])
    form = {
        "email": "a@example.com",
        "role": "auditor",
        "is_superuser": "on",
        "seen": operators.snapshot(ada),
    }
    admin.post(url, {"username": "ada", **form})
    ada.refresh_from_db()
    assert [str(role) for role in ada.roles] == ["admin"]
    assert not ada.is_superuser
    assert ada.email == "a@example.com"


def test_a_role_change_is_audited(admin: Browser, make_operator: Callable[..., User]) -> None:
    zoe = make_operator("zoe", "auditor")
    url = reverse("admin:accounts_user_change", args=[zoe.pk])
    form = {
        "email": "",
        "is_active": "on",
        "role": "manager",
        "reason": "promoted",
        "seen": operators.snapshot(zoe),
    }
    assert admin.post(url, form).status_code == 302
    event = AuditEvent.objects.filter(action="operator.changed").latest("id")
    assert event.before == {"roles": ["auditor"]}
    assert event.after == {"roles": ["manager"]}
    assert event.reason == "promoted"


def test_letting_an_operator_in_again_demands_a_reason(
    admin: Browser, make_operator: Callable[..., User]
) -> None:
    zoe = make_operator("zoe", "auditor")
    User.objects.filter(pk=zoe.pk).update(is_active=False)
    url = reverse("admin:accounts_user_change", args=[zoe.pk])
    zoe.refresh_from_db()
    form = {"email": "z@example.com", "is_active": "on", "role": "auditor", "seen": operators.snapshot(zoe)}
    response = admin.post(url, form, follow=True)
    assert "Say why" in response.content.decode()
    zoe.refresh_from_db()
    assert not zoe.is_active
    assert zoe.email == "", "a refused form changes nothing at all"
    admin.post(url, {**form, "reason": "back from leave"})
    zoe.refresh_from_db()
    assert zoe.is_active


def test_a_superuser_is_managed_by_superusers_only(
    admin: Browser, make_operator: Callable[..., User]
) -> None:
    root = make_operator("root")
    User.objects.filter(pk=root.pk).update(is_superuser=True)
    assert (
        admin.post(reverse("admin:accounts_user_change", args=[root.pk]), {"username": "x"}).status_code
        == 403
    )
    assert admin.get(reverse("admin:auth_user_password_change", args=[root.pk])).status_code == 403
