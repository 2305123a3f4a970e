"""A decision is bound to what was seen, explained, and taken once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.audit import Actor, record_event
from accounts.clients import change_client, suspend_client
from accounts.models import AuditEvent
from keys import lifecycle
from keys.models import Key, KeyStatus, KeyUsage
from schemas.models import Schema
from tests.admin.conftest import active_key, client_of, decide, decide_url, form_of, open_page, pending_key
from tests.support.services import free_port

SYSTEM = Actor.system("tests")


def test_approving_sets_expiry_scopes_and_profile(manager: Browser, pending: Key) -> None:
    last_day = (timezone.now() + timedelta(days=90)).date()
    response = decide(
        manager,
        "approve",
        pending,
        valid_until=str(last_day),
        scopes=["schemas:read"],
        profile="strict",
        reason="ok",
    )
    assert response.status_code == 302
    pending.refresh_from_db()
    assert pending.status == KeyStatus.ACTIVE
    assert pending.expires_at is not None
    assert pending.expires_at.date() == last_day
    client = client_of(pending)
    assert (client.scopes, client.profile) == (["schemas:read"], "strict")
    assert pending.decided_by is not None
    assert pending.decided_by.username == "mara"


def test_the_confirmation_states_what_follows_and_what_it_rests_on(manager: Browser, pending: Key) -> None:
    text = manager.get(decide_url("approve", pending)).content.decode()
    assert "becomes active at once" in text
    for fact in (pending.thumbprint, pending.fingerprint, pending.algorithm, "not proven"):
        assert fact in text


@pytest.mark.parametrize("verb", ["reject", "suspend", "reactivate", "roll_back"])
def test_a_reason_is_demanded(manager: Browser, verb: str) -> None:
    key = pending_key("orders") if verb == "reject" else active_key("orders")
    if verb == "reactivate":
        lifecycle.suspend(key, actor=SYSTEM, reason="tests")
    if verb == "roll_back":
        lifecycle.start_retirement(key, actor=SYSTEM, grace=timedelta(hours=1))
    before = key.status
    response = decide(manager, verb, key, reason="   ")
    assert response.status_code == 200
    assert "This field is required" in response.content.decode()
    key.refresh_from_db()
    assert key.status == before


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda key: change_client(key.client, actor=SYSTEM, changes={"scopes": ["schemas:read"]}), "scopes"),
        (lambda key: change_client(key.client, actor=SYSTEM, changes={"profile": "lenient"}), "profile"),
        (lambda key: suspend_client(key.client, actor=SYSTEM, reason="tests"), "status"),
        (lambda key: Key.objects.filter(pk=key.pk).update(name="other"), "key name"),
        (lambda key: Key.objects.filter(pk=key.pk).update(metadata={"team": "other"}), "metadata"),
    ],
)
def test_a_stale_page_is_refused_and_shown_again(
    manager: Browser, pending: Key, change: Callable[[Key], Any], told: str
) -> None:
    form = open_page(manager, "approve", pending)
    change(pending)
    response = manager.post(decide_url("approve", pending), {**form, "profile": "standard"})
    assert response.status_code == 409
    text = response.content.decode()
    assert "changed while you were looking" in text
    assert told in text
    pending.refresh_from_db()
    assert pending.status == KeyStatus.PENDING
    again = manager.post(decide_url("approve", pending), {**form_of(response), "profile": "standard"})
    assert again.status_code == 302, "what is shown again can be decided"


@pytest.mark.parametrize("seen", ["", "forged", None])
def test_a_forged_or_foreign_token_decides_nothing(manager: Browser, pending: Key, seen: str | None) -> None:
    form = open_page(manager, "approve", pending)
    other = pending_key("invoices")
    form[f"seen_{pending.pk}"] = (
        open_page(manager, "approve", other)[f"seen_{other.pk}"] if seen is None else seen
    )
    assert manager.post(decide_url("approve", pending), {**form, "profile": "standard"}).status_code == 409
    pending.refresh_from_db()
    assert pending.status == KeyStatus.PENDING


def test_two_managers_decide_at_once_and_one_is_told(sit_down: Callable[..., Browser], pending: Key) -> None:
    mara, milo = sit_down("mara", "manager"), sit_down("milo", "manager")
    approval, rejection = open_page(mara, "approve", pending), open_page(milo, "reject", pending)
    assert mara.post(decide_url("approve", pending), {**approval, "profile": "standard"}).status_code == 302
    loser = milo.post(decide_url("reject", pending), {**rejection, "reason": "unknown"})
    assert loser.status_code == 409
    text = loser.content.decode()
    assert "mara" in text
    assert "active" in text
    pending.refresh_from_db()
    assert pending.status == KeyStatus.ACTIVE
    assert not AuditEvent.objects.filter(target_id=str(pending.pk), action="key.rejected").exists()
    refused = AuditEvent.objects.get(target_id=str(pending.pk), action="key.decision_refused")
    assert refused.actor_label == "milo", "who tried what, and why not, is on record"
    assert refused.after == {"decision": "reject", "code": "DECISION_STALE"}


def test_many_keys_are_decided_one_by_one(manager: Browser) -> None:
    """What changed meanwhile is shown again; the others are done."""
    keys = [pending_key(f"client-{number}") for number in range(4)]
    form = open_page(manager, "reject", *keys)
    change_client(keys[2].client, actor=SYSTEM, changes={"name": "renamed"})
    response = manager.post(decide_url("reject", *keys), {**form, "reason": "spring cleaning"})
    assert response.status_code == 409
    assert "client-2" in response.content.decode()
    states = dict(Key.objects.values_list("client__client_id", "status"))
    assert states == {
        "client-0": "rejected",
        "client-1": "rejected",
        "client-2": "pending",
        "client-3": "rejected",
    }


def test_scopes_for_many_start_from_the_servers_default(manager: Browser) -> None:
    form = open_page(manager, "approve", pending_key("one"), pending_key("two"))
    assert form["scopes"] == ["schemas:read", "schemas:write", "keys:rotate"]


def test_bulk_approval_keeps_each_clients_scopes(manager: Browser) -> None:
    one, two = pending_key("one"), pending_key("two")
    change_client(one.client, actor=SYSTEM, changes={"scopes": ["schemas:read"]})
    assert decide(manager, "approve", one, two).status_code == 302
    assert client_of(one).scopes == ["schemas:read"]
    assert Key.objects.filter(status="active").count() == 2


def test_the_lists_bulk_action_leads_to_the_confirmation(manager: Browser, pending: Key) -> None:
    url = reverse("admin:keys_key_changelist")
    response = manager.post(url, {"action": "bulk_approve", "_selected_action": [str(pending.pk)]})
    assert response.status_code == 302
    assert response["Location"] == decide_url("approve", pending)
    pending.refresh_from_db()
    assert pending.status == KeyStatus.PENDING


def test_before_revoking_it_is_shown_who_is_hit(manager: Browser, active: Key) -> None:
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    KeyUsage.objects.create(key=active, hour=hour, count=4321)
    Key.objects.filter(pk=active.pk).update(last_used_at=hour)
    Schema.objects.create(name="order-events", owner=active.client)
    text = manager.get(decide_url("revoke", active)).content.decode()
    for fact in ("4,321", "order-events", "none is active", "nothing else of it verifies"):
        assert fact in text


def test_a_compromise_lists_what_the_key_signed(manager: Browser, active: Key) -> None:
    actor = Actor.client(active.client, active.thumbprint)
    record_event(actor=actor, action="schema.created", target_kind="schema", target_label="payroll")
    since = (timezone.now() - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M")
    fields = {"revocation_reason": "keyCompromise", "compromised_since": since, "reason": "laptop stolen"}
    form = open_page(manager, "revoke", active)
    del form["confirmed"]
    preview = manager.post(decide_url("revoke", active), {**form, **fields, "preview": "yes"})
    assert "payroll" in preview.content.decode()
    active.refresh_from_db()
    assert active.status == KeyStatus.ACTIVE, "a preview decides nothing"
    assert decide(manager, "revoke", active, **fields).status_code == 302
    page = manager.get(reverse("admin:keys_key_change", args=[active.pk])).content.decode()
    assert "suspect" in page
    assert "payroll" in page


@pytest.mark.parametrize("end", [lifecycle.expire, lifecycle.revoke], ids=["expired", "revoked"])
def test_a_compromise_that_is_found_late_is_reported(
    manager: Browser, active: Key, end: Callable[..., Key]
) -> None:
    signed = record_event(
        actor=Actor.client(active.client, active.thumbprint), action="schema.created", target_label="payroll"
    )
    end(active, actor=SYSTEM)
    before = active.status
    since = (timezone.now() - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M")
    form = open_page(manager, "report_compromise", active)
    del form["confirmed"]
    preview = manager.post(
        decide_url("report_compromise", active), {**form, "compromised_since": since, "preview": "yes"}
    )
    assert "payroll" in preview.content.decode()
    without = decide(manager, "report_compromise", active, compromised_since=since)
    assert "This field is required" in without.content.decode()
    done = decide(manager, "report_compromise", active, compromised_since=since, reason="laptop, last May")
    assert done.status_code == 302
    active.refresh_from_db()
    assert active.status == before
    page = manager.get(reverse("admin:keys_key_change", args=[active.pk])).content.decode()
    assert "Compromised since" in page
    assert reverse("admin:accounts_auditevent_change", args=[signed.pk]) in page
    event = AuditEvent.objects.get(action="key.compromised")
    assert (event.actor_label, event.reason) == ("mara", "laptop, last May")


def test_a_preview_of_many_keys_says_which_it_leaves_out(manager: Browser) -> None:
    keys = [active_key(f"client-{number:02}") for number in range(12)]
    form = open_page(manager, "revoke", *keys)
    del form["confirmed"]
    fields = {"compromised_since": "2026-01-01T00:00", "preview": "yes"}
    response = manager.post(decide_url("revoke", *keys), {**form, **fields})
    assert "the first 10 keys" in response.content.decode()
    assert response.context["not_listed"] == keys[10:]


def test_a_preview_asks_since_when_and_nothing_else(manager: Browser, active: Key) -> None:
    form = open_page(manager, "revoke", active)
    del form["confirmed"]
    text = manager.post(decide_url("revoke", active), {**form, "preview": "yes"}).content.decode()
    assert "Since when?" in text
    assert "This field is required" not in text


def test_a_revocation_takes_a_chosen_reason(manager: Browser, active: Key) -> None:
    assert decide(manager, "revoke", active).status_code == 200
    active.refresh_from_db()
    assert active.status == KeyStatus.ACTIVE


def test_whoever_comes_from_the_queue_goes_back_to_it(manager: Browser, pending: Key) -> None:
    queue = reverse("admin:keys_key_queue")
    nothing = manager.get(reverse("admin:keys_key_decide", args=["approve"]), {"from": "queue"}, follow=True)
    assert nothing.redirect_chain == [(queue, 302)]
    assert "Select at least one key first" in nothing.content.decode()
    link = f"{decide_url('approve', pending)}&from=queue"
    form = form_of(manager.get(link))
    response = manager.post(link, {**form, "profile": "standard"})
    assert (response.status_code, response["Location"]) == (302, queue)


def test_a_compromise_in_the_future_is_refused(manager: Browser, active: Key) -> None:
    ahead = (timezone.now() + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
    response = decide(manager, "revoke", active, revocation_reason="keyCompromise", compromised_since=ahead)
    assert "lies in the future" in response.content.decode()
    active.refresh_from_db()
    assert active.status == KeyStatus.ACTIVE


def test_asking_for_a_rotation_sets_the_date(manager: Browser, active: Key) -> None:
    day = (timezone.now() + timedelta(days=5)).date()
    assert decide(manager, "request_rotation", active, rotate_by=str(day)).status_code == 302
    active.refresh_from_db()
    assert active.rotate_by is not None
    assert active.rotate_by.date() == day
    assert active.status == KeyStatus.ACTIVE


def test_no_roll_back_after_the_grace(manager: Browser, active: Key) -> None:
    lifecycle.start_retirement(active, actor=SYSTEM, grace=timedelta(seconds=0))
    response = decide(manager, "roll_back", active, reason="too late")
    assert response.status_code == 409
    assert "grace" in response.content.decode()
    active.refresh_from_db()
    assert active.status == KeyStatus.RETIRING


def test_the_next_request_sees_the_decision(manager: Browser, active: Key) -> None:
    """Every worker compares the client's epoch, so each decision moves it."""
    epoch = client_of(active).epoch
    decide(manager, "revoke", active, revocation_reason="superseded")
    assert client_of(active).epoch > epoch


def test_who_decides_where_redis_cannot_be_told_hears_what_that_means(
    manager: Browser, active: Key, settings: Any
) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    response = decide(manager, "suspend", active, reason="odd traffic")
    assert response.status_code == 302
    page = manager.get(response["Location"]).content.decode()
    assert page.count("may still let in") == 1


def test_unknown_keys_and_verbs_are_not_found(manager: Browser, pending: Key) -> None:
    assert manager.get(reverse("admin:keys_key_decide", args=["approve"])).status_code == 404
    assert (
        manager.get(reverse("admin:keys_key_decide", args=["approve"]) + "?key=nonsense").status_code == 404
    )
    assert manager.get(f"/admin/keys/key/decide/destroy/?key={pending.pk}").status_code == 404


def test_the_confirmation_takes_as_many_queries_for_one_as_for_many(manager: Browser) -> None:
    keys = [pending_key(f"client-{number}") for number in range(12)]

    def queries(*chosen: Key) -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert manager.get(decide_url("approve", *chosen)).status_code == 200
        return len(captured)

    queries(keys[0])
    assert queries(*keys) <= queries(*keys[:2]) + 1
