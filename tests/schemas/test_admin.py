"""The operators' pages: what each role sees and may do, and what a confirmation rests on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Group
from django.test import Client as Browser
from django.urls import reverse

from accounts.models import AuditEvent, User
from schemas import decisions
from schemas.admin.diff import side_by_side
from schemas.files import jobs, runner
from schemas.models import Schema, SchemaVersion
from tests.schemas.conftest import FIELDS, WITH_NOTE
from tests.support.client import SignedClient

Make = Callable[..., Any]


@pytest.fixture
def sit_down(db: None) -> Callable[[str], Browser]:
    """A browser with an operator of that role logged in."""

    def sit(role: str) -> Browser:
        user = User.objects.create_user(role, is_staff=True)
        user.groups.add(Group.objects.get(name=role))
        browser = Browser()
        browser.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
        return browser

    return sit


def decide(schema: Schema, verb: str) -> str:
    return reverse("admin:schemas_schema_decide", args=[schema.pk, verb])


def confirm(browser: Browser, link: str, **data: Any) -> Any:
    """POST what the confirmation page showed."""
    page = browser.get(link)
    assert page.status_code == 200, page.content
    seen = page.context["seen"]
    return browser.post(link, {"seen": seen, **data})


def test_the_pages_show_what_there_is(
    owner: SignedClient, make: Make, sit_down: Callable[[str], Browser]
) -> None:
    make("events", description="What happened")
    owner.call("POST", "/api/v1/schemas/events/versions", {"fields": WITH_NOTE})
    auditor = sit_down("auditor")
    schema = Schema.objects.get()
    listed = auditor.get(reverse("admin:schemas_schema_changelist") + "?q=note").content.decode()
    assert "events" in listed
    page = auditor.get(reverse("admin:schemas_schema_change", args=[schema.pk])).content.decode()
    assert "What happened" in page
    assert "newest served" in page
    assert "/decide/" not in page
    version = SchemaVersion.objects.get(number=1)
    page = auditor.get(reverse("admin:schemas_schemaversion_change", args=[version.pk])).content.decode()
    assert "The receipt verifies" in page
    assert "owner" in page
    assert version.author_key is not None
    assert version.author_key.thumbprint in page
    assert version.fingerprint in page
    for name in ("schemas_schemaversion_changelist", "schemas_validationjob_changelist"):
        assert auditor.get(reverse(f"admin:{name}")).status_code == 200
    assert auditor.get(reverse("admin:schemas_schema_history", args=[schema.pk])).status_code == 200


def test_two_versions_stand_side_by_side_with_the_report(
    owner: SignedClient, make: Make, sit_down: Callable[[str], Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("schemas.admin.schemas.OFFERED_VERSIONS", 2)
    make("events", compatibility="NONE")
    must = [*FIELDS, {"name": "must", "type": "string", "required": True}]
    owner.call("POST", "/api/v1/schemas/events/versions", {"fields": must})
    auditor = sit_down("auditor")
    link = reverse("admin:schemas_schema_diff", args=[Schema.objects.get().pk])
    page = auditor.get(link).content.decode()
    assert "not backward compatible" in page
    assert "FIELD_REQUIRED" in page
    assert "df-added" in page
    assert auditor.get(f"{link}?old=2&new=1").status_code == 200
    assert auditor.get(f"{link}?old=x&new=99").status_code == 200
    owner.call("POST", "/api/v1/schemas/events/versions", {"fields": [*must, {"name": "x", "type": "date"}]})
    assert "v2 and v3 side by side" in auditor.get(link).content.decode()
    assert "v1 and v3 side by side" in auditor.get(f"{link}?old=1&new=3").content.decode()
    assert "v3 and v1 side by side" in auditor.get(f"{link}?new=1").content.decode()
    for number in (1, 2):
        properties = {"event": {"$ref": "datafold:events/1"}, "n": {"type": "string", "maxLength": number}}
        body = {"format": "jsonschema", "content": {"properties": properties}}
        if number == 1:
            make("referring", **body)
        else:
            owner.call("POST", "/api/v1/schemas/referring/versions", body)
    link = reverse("admin:schemas_schema_diff", args=[Schema.objects.get(name="referring").pk])
    page = auditor.get(link).content.decode()
    assert "LENGTH_WIDENED" in page or "LENGTH_NARROWED" in page
    make("single")
    assert (
        auditor.get(
            reverse("admin:schemas_schema_diff", args=[Schema.objects.get(name="single").pk])
        ).status_code
        == 404
    )


def test_a_manager_decides_on_a_confirmation_page(make: Make, sit_down: Callable[[str], Browser]) -> None:
    make("events")
    make("better")
    manager = sit_down("manager")
    schema = Schema.objects.get(name="events")
    assert manager.get(decide(schema, "approve")).status_code == 200
    schema.refresh_from_db()
    assert schema.state == "available"
    assert confirm(manager, decide(schema, "approve")).status_code == 302
    schema.refresh_from_db()
    assert schema.state == "approved"
    assert schema.state_changed_by is not None

    wrong = confirm(manager, decide(schema, "deprecate"), on="2030-01-01", successor="nothing")
    assert "There is no schema nothing" in wrong.content.decode()
    confirm(manager, decide(schema, "deprecate"), on="2030-01-01", successor="better", reason="Old")
    schema.refresh_from_db()
    assert (schema.state, schema.deprecated_for.name) == ("deprecated", "better")  # type: ignore[union-attr]

    assert confirm(manager, decide(schema, "block")).status_code == 200  # a reason is demanded
    confirm(manager, decide(schema, "block"), reason="Leaks")
    confirm(manager, decide(schema, "unblock"))
    schema.refresh_from_db()
    assert schema.state == "available"
    event = AuditEvent.objects.get(action="schema.blocked")
    assert (event.actor_label, event.reason) == ("manager", "Leaks")


def test_a_decision_on_what_has_changed_meanwhile_is_refused(
    make: Make, sit_down: Callable[[str], Browser]
) -> None:
    from accounts.audit import Actor

    make("events")
    manager = sit_down("manager")
    schema = Schema.objects.get()
    seen = manager.get(decide(schema, "approve")).context["seen"]
    decisions.block(schema, actor=Actor.system("another"), reason="First")
    refused = manager.post(decide(schema, "approve"), {"seen": seen})
    assert refused.status_code == 409
    schema.refresh_from_db()
    assert schema.state == "blocked"


@pytest.mark.parametrize(
    "verb", ["approve", "block", "unblock", "deprecate", "require-approval", "break-glass", "give", "erase"]
)
def test_an_auditor_decides_nothing(make: Make, sit_down: Callable[[str], Browser], verb: str) -> None:
    make("events")
    auditor = sit_down("auditor")
    schema = Schema.objects.get()
    for answer in (auditor.get(decide(schema, verb)), auditor.post(decide(schema, verb), {"reason": "x"})):
        assert answer.status_code == 403
    assert Schema.objects.get().state == "available"


def test_only_an_admin_erases(make: Make, sit_down: Callable[[str], Browser]) -> None:
    make("events")
    schema = Schema.objects.get()
    assert sit_down("manager").get(decide(schema, "erase")).status_code == 403
    confirm(sit_down("admin"), decide(schema, "erase"), reason="Test data")
    assert not Schema.objects.exists()


def test_versions_are_approved_one_by_one(
    owner: SignedClient, make: Make, sit_down: Callable[[str], Browser]
) -> None:
    make("events")
    manager = sit_down("manager")
    confirm(manager, decide(Schema.objects.get(), "require-approval"))
    owner.call("POST", "/api/v1/schemas/events/versions", {"fields": WITH_NOTE})
    assert Schema.objects.get().served_number == 1
    version = SchemaVersion.objects.get(number=2)
    page = manager.get(reverse("admin:schemas_schema_change", args=[version.schema_id])).content.decode()
    assert "waits for approval" in page
    link = reverse("admin:schemas_schemaversion_approve", args=[version.pk])
    assert "The signature holds" in manager.get(link).content.decode()
    assert SchemaVersion.objects.get(number=2).approved_at is None
    assert manager.post(link, {"reason": "Fine"}).status_code == 302
    assert Schema.objects.get().served_number == 2
    assert manager.post(link, {}).status_code == 409


def test_the_owner_and_break_glass_are_the_operators(
    make: Make, sit_down: Callable[[str], Browser], stranger: Any
) -> None:
    make("events")
    manager = sit_down("manager")
    schema = Schema.objects.get()
    confirm(manager, decide(schema, "give"), owner="stranger", reason="Moved")
    assert Schema.objects.get().owner.client_id == "stranger"  # type: ignore[union-attr]
    wrong = confirm(manager, decide(schema, "break-glass"), until="2999-01-01T00:00", reason="x")
    assert "At most 7 days" in wrong.content.decode()


def test_a_diff_leaves_out_what_did_not_change() -> None:
    old = [{"name": f"f{number}"} for number in range(100)]
    new = [*old[:50], {"name": "changed"}, *old[51:]]
    rows = side_by_side(old, new)
    assert rows is not None
    assert len(rows) < 20
    assert [row.kind for row in rows].count("changed") == 1
    assert [row.kind for row in rows].count("gap") == 2
    changed = next(row for row in rows if row.kind == "changed")
    assert (changed.old.strip(), changed.new.strip()) == ('"name": "f50"', '"name": "changed"')
    assert side_by_side(list(range(5000)), []) is None
    assert side_by_side(old, old) is not None


def test_a_validated_file_is_shown_with_its_report(
    owner: SignedClient,
    make: Make,
    sit_down: Callable[[str], Browser],
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
    tmp_path: Path,
) -> None:
    settings.DATA_DIR = tmp_path
    monkeypatch.setattr(jobs, "start_in_background", lambda _: None)
    make("events")
    started = owner.call(
        "POST",
        "/api/v1/schemas/events/versions/1/validate-file",
        content=b'{"id": "<b>"}\n',
        headers={"Content-Type": "application/x-ndjson"},
    )
    job_id = started.json()["data"]["id"]
    auditor = sit_down("auditor")
    change = reverse("admin:schemas_validationjob_change", args=[job_id])
    report = reverse("admin:schemas_validationjob_report", args=[job_id])
    assert "not there yet" in auditor.get(change).content.decode()
    assert auditor.get(report).status_code == 404
    runner.run_job(UUID(job_id))
    shown = auditor.get(change).content.decode()
    assert report in shown
    assert "record 1, <code>/id</code>" in shown
    assert "<b>" not in shown.partition("record 1")[2][:200]
    answer: Any = auditor.get(report)
    assert "attachment" in answer["Content-Disposition"]
    assert json.loads(b"".join(answer.streaming_content))["record"] == 1
    dashboard = auditor.get(reverse("admin:index")).content.decode()
    assert reverse("admin:schemas_validationjob_changelist") in dashboard
    nobody = User.objects.create_user("nobody", is_staff=True)
    browser = Browser()
    browser.force_login(nobody, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert browser.get(report).status_code in (403, 404)
