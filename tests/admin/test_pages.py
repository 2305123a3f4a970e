"""The pages that operators read: queue, lists, search, dashboard. Bounded, and telling what is needed."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.audit import Actor, record_event
from accounts.lookalikes import neighbours, skeleton
from accounts.models import AuditCheckpoint, AuditEvent, User
from accounts.sealing import seal_events
from keys import lifecycle, rotation, server_keys
from keys.admin.evidence import evidence_of
from keys.decisions import load
from keys.models import Key, KeyStatus, KeyUsage, Refusal, RefusalCount
from project.admin_base import shown
from project.dashboard import silent_keys
from project.export import as_plain_text
from tests.admin.conftest import active_key, pending_key
from tests.support.registered import public_key
from tests.support.signing import Signer

pytestmark = [pytest.mark.django_db, pytest.mark.on_postgres]
QUEUE = "admin:keys_key_queue"


def queries(browser: Browser, url: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert browser.get(url).status_code == 200
    return len(captured)


def test_the_queue_shows_what_is_needed_to_decide(manager: Browser) -> None:
    active_key("paypal-prod")
    key = pending_key(
        "paypa1.prod", proven=True, metadata={"team": "payments"}, user_id="u-9", key_name="Uplink"
    )
    text = manager.get(reverse(QUEUE)).content.decode()
    for fact in (
        key.thumbprint,
        key.fingerprint,
        "ed25519",
        "proven",
        "payments",
        "u-9",
        "Uplink",
        "paypal-prod",
    ):
        assert fact in text
    assert "Easily taken for another client" in text


def test_what_has_waited_longest_comes_first(manager: Browser) -> None:
    first, second = pending_key("first"), pending_key("second")
    text = manager.get(reverse(QUEUE)).content.decode()
    assert text.index(first.thumbprint) < text.index(second.thumbprint)


@pytest.mark.parametrize(
    "url", [QUEUE, "admin:keys_key_changelist", "admin:accounts_client_changelist", "admin:index"]
)
def test_more_rows_take_no_more_queries(manager: Browser, url: str) -> None:
    pending_key("client-0"), active_key("active-0")
    queries(manager, reverse(url))
    few = queries(manager, reverse(url))
    for number in range(1, 9):
        pending_key(f"client-{number}"), active_key(f"active-{number}")
    assert queries(manager, reverse(url)) <= few


@pytest.mark.parametrize(
    "url",
    [
        "admin:accounts_auditevent_changelist",
        "admin:keys_refusal_changelist",
        "admin:keys_enrolmenttoken_changelist",
        "admin:accounts_user_changelist",
    ],
)
@pytest.mark.parametrize("role", ["auditor", "manager", "admin"])
def test_every_role_reads_the_other_lists(sit_down: Callable[..., Browser], role: str, url: str) -> None:
    browser = sit_down("pat", role)
    assert queries(browser, reverse(url)) < 20


def test_long_names_take_no_room_of_other_keys_look_alikes(
    manager: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keys.admin.evidence.CANDIDATES", 3000)
    active_key("orders")
    alike, long = pending_key("orderz"), pending_key("a" * 60)
    page = manager.get(reverse(QUEUE))
    found = {item.key.pk: item for item in page.context["items"]}
    assert [str(client) for client in found[alike.pk].lookalikes] == ["orders"]
    assert {pk for pk, item in found.items() if item.lookalikes_missed} == {long.pk}
    assert "Not every look-alike" in page.content.decode()


def test_a_client_with_hundreds_of_keys_hides_nobody_elses() -> None:
    first = active_key("orders")
    Key.objects.bulk_create(
        Key(
            client=first.client,
            algorithm="ed25519",
            public_key=b"",
            thumbprint=f"{number:043}",
            status=KeyStatus.RETIRED,
            registered_at=timezone.now(),
        )
        for number in range(501)
    )
    other = active_key("billing")
    further = rotation.rotate(other, public_key=public_key(Signer()), actor=Actor.system("tests"))
    many, few = evidence_of(load([first.pk, further.pk]))
    assert [key.pk for key in few.other_keys] == [other.pk]
    assert (len(many.other_keys), many.more_keys) == (8, True)


@pytest.mark.parametrize("dated", [True, False], ids=["now", "by an older version"])
def test_a_key_that_was_active_at_once_and_never_used_is_silent(settings: Any, dated: bool) -> None:
    settings.DATAFOLD_REGISTRATION_POLICY = "open"
    key = pending_key("orders")
    successor = rotation.rotate(key, public_key=public_key(Signer()), actor=Actor.system("tests"))
    lifecycle.roll_back_retirement(key, actor=Actor.system("tests"))
    if dated:
        assert successor.decided_at is not None
    else:
        Key.objects.update(decided_at=None)
    later = timezone.now() + timedelta(days=8)
    assert {silent.pk for silent in silent_keys(later)} == {key.pk, successor.pk}
    assert silent_keys(timezone.now()) == []


def test_the_dashboard_shows_each_figure(manager: Browser) -> None:
    now = timezone.now()
    hour = now.replace(minute=0, second=0, microsecond=0)
    pending_key("waits")
    busy = active_key("busy")
    silent = active_key("silent")
    KeyUsage.objects.create(key=busy, hour=hour, count=1234)
    RefusalCount.objects.create(hour=hour, code="NONCE_REUSED", count=56)
    Key.objects.filter(pk=silent.pk).update(decided_at=now - timedelta(days=9))
    Key.objects.filter(pk=busy.pk).update(last_used_at=now, expires_at=now + timedelta(days=3))
    text = manager.get(reverse("admin:index")).content.decode()
    for fact in (
        "waits",
        "1,234",
        "NONCE_REUSED",
        "56",
        "never used",
        "key.registered",
        "Database",
        "Redis",
        "Beat",
    ):
        assert fact in text
    assert text.count("<svg") >= 5


def test_counts_stop_at_a_cap(manager: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("project.dashboard.CAP", 3)
    for number in range(6):
        pending_key(f"client-{number}")
    assert "3+" in manager.get(reverse("admin:index")).content.decode()


@pytest.mark.parametrize("role", ["auditor", "manager", "admin"])
def test_search_finds_by_whatever_is_at_hand(sit_down: Callable[..., Browser], role: str) -> None:
    browser = sit_down("pat", role)
    key = pending_key("orders-eu", key_name="Bestellungen")
    Refusal.objects.create(
        created_at=timezone.now(),
        request_id="req-12345678",
        code="NONCE_REUSED",
        message="m",
        method="GET",
        path="/",
    )
    for term in ("orders", "0rders", "bestell", key.thumbprint[:10], key.fingerprint, str(key.pk)):
        assert (
            "orders-eu" in browser.get(reverse("admin:search"), {"s": term, "extended": "1"}).content.decode()
        )
        assert (
            key.thumbprint[:8]
            in browser.get(reverse("admin:keys_key_changelist"), {"q": term}).content.decode()
        )
    assert (
        "NONCE_REUSED"
        in browser.get(reverse("admin:search"), {"s": "req-12345678", "extended": "1"}).content.decode()
    )


def test_the_order_of_a_list_is_remembered(manager: Browser) -> None:
    pending_key("aaa"), pending_key("zzz")
    url = reverse("admin:accounts_client_changelist")
    manager.get(url, {"o": "-1"})
    text = manager.get(url).content.decode()
    assert text.index("zzz") < text.index("aaa")


def test_a_key_page_shows_its_history_with_before_and_after(auditor: Browser, active: Key) -> None:
    for url in (
        reverse("admin:keys_key_change", args=[active.pk]),
        reverse("admin:keys_key_history", args=[active.pk]),
    ):
        text = auditor.get(url).content.decode()
        assert "key.approved" in text
        assert "<del>pending</del>" in text
        assert "<ins>active</ins>" in text


def test_an_audit_event_is_found_by_request_id_and_not_changed(manager: Browser, pending: Key) -> None:
    event = AuditEvent.objects.get(target_id=str(pending.pk))
    url = reverse("admin:accounts_auditevent_changelist")
    for term, found in ((str(pending.pk), 1), ("no-such-request", 0)):
        assert manager.get(url, {"q": term}).context["cl"].result_count == found
    record_event(actor=Actor.operator(User.objects.get(username="mara")), action="client.changed")
    found = manager.get(url, {"q": "mara"}).context["cl"].result_list
    assert [acted.action for acted in found] == ["client.changed", "operator.logged_in"], (
        "an operator's name finds what they did"
    )
    change = reverse("admin:accounts_auditevent_change", args=[event.pk])
    assert manager.get(change).status_code == 200
    assert manager.post(change, {"action": "nothing"}).status_code == 403
    assert manager.get(reverse("admin:accounts_auditevent_delete", args=[event.pk])).status_code == 403


def test_an_event_says_whether_it_is_sealed_and_where_its_proof_is(
    auditor: Browser, pending: Key, settings: Any
) -> None:
    settings.DATAFOLD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    server_keys.clear_cache()
    event = AuditEvent.objects.get(target_id=str(pending.pk))
    change = reverse("admin:accounts_auditevent_change", args=[event.pk])
    assert "Not sealed yet" in auditor.get(change).content.decode()
    seal_events(signer=server_keys.current_signer(), now=timezone.now())
    text = auditor.get(change).content.decode()
    assert AuditCheckpoint.objects.get().root in text
    proof = re.search(r'href="([^"]+/proof)"', text)
    assert proof is not None
    assert auditor.get(proof[1]).json()["data"]["event"]["id"] == event.pk
    server_keys.clear_cache()


@pytest.mark.parametrize(("kind", "page"), [("schema", "schemas_schema"), ("webhook", "accounts_webhook")])
def test_an_event_leads_to_what_it_is_about(auditor: Browser, kind: str, page: str) -> None:
    record_event(actor=Actor.system("tests"), action="x", target_kind=kind, target_id="7", target_label="it")
    text = auditor.get(reverse("admin:accounts_auditevent_changelist")).content.decode()
    assert reverse(f"admin:{page}_change", args=["7"]) in text


@pytest.mark.parametrize(
    ("page", "entry"),
    [
        ("admin:keys_key_queue", "Approval queue"),
        ("admin:accounts_client_changelist", "Clients"),
        ("admin:keys_key_changelist", "Keys"),
        ("admin:keys_enrolmenttoken_issue", "Enrolment tokens"),
        ("admin:accounts_auditevent_changelist", "Audit log"),
        ("admin:keys_refusal_changelist", "Refused requests"),
        ("admin:accounts_user_changelist", "Operators"),
    ],
)
def test_the_sidebar_marks_where_one_is(manager: Browser, page: str, entry: str) -> None:
    text = manager.get(reverse(page)).content.decode()
    marked = re.findall(r'<a [^>]*\bactive"[^>]*>.*?<span>([^<]+)</span>', text, re.DOTALL)
    assert marked == [entry]


def test_an_identifier_is_written_as_it_is(manager: Browser, active: Key) -> None:
    """ "Orders" would be another client."""
    text = manager.get(reverse("admin:accounts_client_change", args=[active.client_id])).content.decode()
    assert re.search(r"<h1.*?orders.*?</h1>", text, re.DOTALL)
    assert ">Orders<" not in text


def test_history_is_offered_where_there_is_one(manager: Browser, active: Key) -> None:
    event = AuditEvent.objects.latest("id")
    for url, offered in (
        (reverse("admin:keys_key_change", args=[active.pk]), True),
        (reverse("admin:accounts_auditevent_change", args=[event.pk]), False),
    ):
        assert ("/history/" in manager.get(url).content.decode()) == offered


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("2030-01-31T12:00:05.719695+00:00", "2030-01-31 12:00:05 UTC"),
        ("2030-01-31T12:00:05Z", "2030-01-31 12:00:05 UTC"),
        ("2030-13-99T12:00:05Z", "2030-13-99T12:00:05Z"),
        ("2030-01-31T12:00:05Z and more", "2030-01-31T12:00:05Z and more"),
        (["a", None, {"b": True}], "a, none, b: yes"),
    ],
)
def test_facts_are_shown_as_people_read_them(value: Any, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_no_cell_of_an_export_is_a_formula(formula: str) -> None:
    assert as_plain_text(formula).startswith("'")
    assert as_plain_text("orders") == "orders"


@pytest.mark.parametrize("role", ["auditor", "manager"])
def test_lists_are_exported_as_csv_and_json(sit_down: Callable[..., Browser], role: str) -> None:
    key = pending_key("orders", key_name="=HYPERLINK(1)")
    browser = sit_down("pat", role)
    url = reverse("admin:keys_key_export")
    fields = {f"keyresource_{name}": "on" for name in ("thumbprint", "name")}
    csv = browser.post(url, {"format": "0", "resource": "", **fields}).content.decode()
    assert key.thumbprint in csv
    assert "'=HYPERLINK(1)" in csv
    assert (
        browser.post(url, {"format": "1", "resource": "", **fields}).json()[0]["thumbprint"] == key.thumbprint
    )


def test_nobody_without_the_permission_exports(sit_down: Callable[..., Browser], pending: Key) -> None:
    assert sit_down("nobody").get(reverse("admin:keys_key_export")).status_code == 403


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("PayPal-Prod", "paypa1.prod"),
        ("orders", "0rders"),
        ("modem", "rnodem"),
        ("оrders", "orders"),
        ("wave", "vvave"),
    ],
)
def test_look_alikes_have_one_skeleton(one: str, other: str) -> None:
    assert skeleton(one) == skeleton(other)


def test_an_edit_away_is_a_neighbour() -> None:
    for near in ("order", "orderss", "ordres", "orgers"):
        assert skeleton(near) in neighbours(skeleton("orders"))
    assert len(neighbours("a" * 64)) < 5000
