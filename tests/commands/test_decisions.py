from __future__ import annotations

import json
import os
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command

from accounts.audit import Actor, record_event
from accounts.models import AuditEvent, User
from keys import rotation_requests
from keys.models import Key
from tests.support.registered import register_active, register_pending
from tests.support.services import free_port

pytestmark = pytest.mark.django_db


def run(name: str, *args: str) -> str:
    out = StringIO()
    call_command(name, *args, stdout=out, stderr=StringIO())
    return out.getvalue()


def run_json(name: str, *args: str) -> Any:
    return json.loads(run(name, *args, "--json"))


def operator(name: str, role: str = "manager") -> User:
    user = User.objects.create_user(name, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    return user


def key_of(client_id: str) -> Key:
    return Key.objects.get(client__client_id=client_id)


def test_approve_by_client_id_activates_and_is_idempotent() -> None:
    register_pending("machine-1")
    assert "Approved machine-1" in run("approve_key", "machine-1")
    assert key_of("machine-1").status == "active"
    assert "Nothing to do" in run("approve_key", "machine-1")
    assert AuditEvent.objects.filter(action="key.approved").count() == 1


@pytest.mark.parametrize("name", ["registration_id", "thumbprint", "prefix"])
def test_a_key_answers_to_each_of_its_names(name: str) -> None:
    register_pending("machine-1")
    key = key_of("machine-1")
    names = {"registration_id": str(key.pk), "thumbprint": key.thumbprint, "prefix": key.thumbprint[:8]}
    answer = run_json("approve_key", names[name])
    assert answer["status"] == "active"
    assert answer["client_id"] == "machine-1"


def test_a_thumbprint_that_begins_with_a_dash_is_no_option(monkeypatch: Any) -> None:
    found: list[str] = []

    def find(name: str, **_: Any) -> Key:
        found.append(name)
        return key_of("machine-1")

    monkeypatch.setattr("keys.management.base.find_key", find)
    register_active("machine-1")
    for name in ("-abcdefg", "--bcdefg", "-" + "x" * 42):
        run("suspend_key", name, "--reason", "x", "-v", "0")
        run("reactivate_key", "--reason", "x", name)
        run("show_key", "--json", "--", name)
        assert set(found) == {name}
        found.clear()
    with pytest.raises(CommandError, match="--no-such-option=1"):
        run("show_key", "machine-1", "--no-such-option=1")


def test_approve_names_the_operator_and_sets_terms() -> None:
    operator("olga")
    register_pending("machine-1")
    run("approve_key", "machine-1", "--by", "olga", "--expires", "2031-05-01", "--scope", "schemas:read")
    key = key_of("machine-1")
    assert key.decided_by is not None
    assert key.decided_by.username == "olga"
    assert key.expires_at is not None
    assert key.expires_at.date().isoformat() == "2031-05-01"
    assert key.client.scopes == ["schemas:read"]


def test_approve_under_four_eyes_takes_two_named_operators(settings: Any) -> None:
    settings.DATAFOLD_FOUR_EYES = True
    for name in ("olga", "omar"):
        operator(name)
    register_pending("machine-1")
    with pytest.raises(CommandError, match="two operators"):
        run("approve_key", "machine-1")
    said = run("approve_key", "machine-1", "--by", "olga")
    assert "Approval recorded" in said
    assert "another operator" in said
    assert key_of("machine-1").status == "pending"
    assert "active until" in run("approve_key", "machine-1", "--by", "omar")


def test_an_unknown_name_lists_the_candidates() -> None:
    register_pending("machine-1")
    with pytest.raises(CommandError, match=r"(?s)No key answers to 'machin-1'.*machine-1"):
        run("approve_key", "machin-1")


def test_an_ambiguous_name_lists_the_candidates() -> None:
    register_pending("machine-1")
    key = key_of("machine-1")
    # Whoever registers chooses a client_id: one that reads like another key's thumbprint must not win.
    register_pending(key.thumbprint[:6])
    with pytest.raises(CommandError, match=r"(?s)means 2 keys.*registration_id"):
        run("approve_key", key.thumbprint[:6])
    assert set(Key.objects.values_list("status", flat=True)) == {"pending"}


def test_an_unknown_operator_decides_nothing() -> None:
    register_pending("machine-1")
    with pytest.raises(CommandError, match="no active operator 'nobody'"):
        run("approve_key", "machine-1", "--by", "nobody")
    assert key_of("machine-1").status == "pending"


def test_reject_keeps_the_reason() -> None:
    register_pending("machine-1")
    run("reject_key", "machine-1", "--reason", "not ours")
    key = key_of("machine-1")
    assert (key.status, key.decision_reason) == ("rejected", "not ours")
    assert run_json("reject_key", "machine-1")["changed"] is False


def test_a_decision_that_the_state_forbids_is_refused() -> None:
    register_pending("machine-1")
    run("reject_key", "machine-1")
    with pytest.raises(CommandError, match="rejected"):
        run("approve_key", "machine-1")


@pytest.mark.parametrize(
    ("given", "kept", "note"),
    [
        ("keyCompromise", "keyCompromise", ""),
        ("key-compromise", "keyCompromise", ""),
        ("lost laptop", "unspecified", "lost laptop"),
        ("", "unspecified", ""),
    ],
)
def test_revoke_takes_rfc_5280_reasons(given: str, kept: str, note: str) -> None:
    register_active("machine-1")
    run("revoke_key", "machine-1", "--reason", given, "--compromised-since", "2026-01-02T03:04:05Z")
    key = key_of("machine-1")
    assert (key.status, key.revocation_reason, key.decision_reason) == ("revoked", kept, note)
    assert key.compromised_since is not None
    assert key.compromised_since.isoformat() == "2026-01-02T03:04:05+00:00"


def test_a_revoked_key_is_refused_at_the_next_request(client: Any) -> None:
    from tests.support.client import SignedClient

    signed = SignedClient(register_active("machine-1"))
    assert signed.call("GET", "/api/v1/auth/me").status_code == 200
    run("revoke_key", "machine-1", "--reason", "superseded")
    assert signed.call("GET", "/api/v1/auth/me").json()["error"]["code"] == "KEY_REVOKED"


def test_suspend_and_reactivate_with_a_reason() -> None:
    register_active("machine-1")
    run("suspend_key", "machine-1", "--reason", "odd traffic")
    assert key_of("machine-1").status == "suspended"
    with pytest.raises(CommandError, match="--reason"):
        run("reactivate_key", "machine-1")
    run("reactivate_key", "machine-1", "--reason", "it was us")
    assert key_of("machine-1").status == "active"


def test_show_key_tells_its_history() -> None:
    register_active("machine-1")
    shown = run("show_key", "machine-1")
    assert "BEGIN PUBLIC KEY" in shown
    assert "key.approved" in shown
    assert run_json("show_key", "machine-1")["history"][0]["action"] == "key.approved"


def test_show_key_tells_what_it_signed_since_the_compromise() -> None:
    register_active("machine-1")
    key = key_of("machine-1")
    actor = Actor.client("machine-1", key.thumbprint)
    record_event(actor=actor, action="schema.created", target_kind="schema", target_label="payroll")
    run("revoke_key", "machine-1", "--reason", "keyCompromise", "--compromised-since", "2020-01-31")
    assert "suspect: schema.created payroll" in run("show_key", str(key.pk))
    assert "schema.created payroll" in run_json("show_key", key.thumbprint)["suspect"]


def test_list_audit_events_tells_what_an_operator_did() -> None:
    operator("olga")
    register_pending("machine-1")
    register_pending("machine-2")
    run("reject_key", "machine-1", "--by", "olga", "--reason", "not ours")
    run("approve_key", "machine-2")
    [event] = run_json("list_audit_events", "--by", "olga")
    assert (event["action"], event["target_label"][:9], event["reason"]) == (
        "key.rejected",
        "machine-1",
        "not ours",
    )
    assert "key.rejected" in run("list_audit_events", "--by", "olga", "--since", "2020-01-31")
    assert run("list_audit_events", "--by", "olga", "--until", "2020-01-31") == ""
    assert [e["action"] for e in run_json("list_audit_events", "--limit", "1")] == ["key.approved"]
    record_event(actor=Actor.client("machine-2"), action="key.rotated")
    record_event(actor=Actor.client("machine-2"), action="key.updated")
    assert len(run_json("list_audit_events", "--client", "machine-2", "--action", "key.updated")) == 1
    with pytest.raises(CommandError, match="no operator 'nobody'"):
        run("list_audit_events", "--by", "nobody")


def test_a_reader_that_has_seen_enough_ends_a_list_without_a_traceback() -> None:
    register_pending("machine-1")
    reading, writing = os.pipe()
    os.close(reading)  # as `| head` does
    with os.fdopen(writing, "w") as out, pytest.raises(SystemExit) as ended:
        call_command("list_keys", stdout=out)
    assert ended.value.code == 141, "what a shell calls ended by SIGPIPE"


def test_list_keys_filters() -> None:
    register_pending("waiting-1")
    register_active("active-1")
    assert [key["client_id"] for key in run_json("list_keys", "--status", "pending")] == ["waiting-1"]
    assert [key["client_id"] for key in run_json("list_keys", "--client", "active-1")] == ["active-1"]
    assert len(run_json("list_keys", "--limit", "1")) == 1
    assert run_json("list_keys", "--expiring", "10000")[0]["client_id"] == "active-1"
    assert "waiting-1" in run("list_keys")


def test_rotate_key_asks_once_and_never_later_than_asked() -> None:
    for name in ("a-1", "a-2"):
        register_active(name)
    register_pending("p-1")
    assert len(run_json("rotate_key", "--all", "--due", "2031-01-01", "--dry-run")["requested"]) == 2
    assert Key.objects.filter(rotate_by__isnull=False).count() == 0
    assert len(run_json("rotate_key", "--all", "--due", "2031-01-01")["requested"]) == 2
    assert run_json("rotate_key", "--all", "--due", "2031-01-01")["requested"] == []
    assert run_json("rotate_key", "a-1", "--due", "2032-01-01")["requested"] == []
    assert run_json("rotate_key", "--older-than", "90d")["requested"] == []


@pytest.mark.parametrize(
    "args", [[], ["a-1", "--all"], ["--all", "--due", "2001-01-01"], ["--older-than", "soon"]]
)
def test_rotate_key_refuses_what_is_unclear(args: list[str]) -> None:
    with pytest.raises(CommandError):
        run("rotate_key", *args)


def test_a_named_operator_is_held_to_their_role_and_to_reasons() -> None:
    operator("olga", "auditor")
    operator("mara")
    register_active("machine-1")
    with pytest.raises(CommandError, match="role does not allow"):
        run("suspend_key", "machine-1", "--by", "olga", "--reason", "because")
    with pytest.raises(CommandError, match="role does not allow"):
        run("rotate_key", "machine-1", "--by", "olga")
    with pytest.raises(CommandError, match="Say why"):
        run("suspend_key", "machine-1", "--by", "mara")
    assert key_of("machine-1").status == "active"
    run("suspend_key", "machine-1", "--by", "mara", "--reason", "odd traffic")
    assert key_of("machine-1").status == "suspended"


def test_a_refused_command_is_on_record() -> None:
    operator("olga", "auditor")
    register_active("machine-1")
    with pytest.raises(CommandError):
        run("revoke_key", "machine-1", "--by", "olga")
    event = AuditEvent.objects.get(action="key.decision_refused")
    assert (event.actor_label, event.target_id) == ("olga", str(key_of("machine-1").pk))
    assert event.after == {"decision": "revoke", "code": "PERMISSION_DENIED"}


def test_scopes_that_are_none_are_refused_in_words() -> None:
    register_pending("machine-1")
    with pytest.raises(CommandError, match="Not scopes"):
        run("approve_key", "machine-1", "--scope", "everything")
    assert key_of("machine-1").status == "pending"


@pytest.mark.parametrize(
    ("command", "word"),
    [
        (("approve_key", "waiting-1", "--expires", "2001-01-01"), "past"),
        (("revoke_key", "waiting-1", "--compromised-since", "2999-01-01"), "future"),
    ],
)
def test_moments_that_make_no_sense_are_refused(command: tuple[str, ...], word: str) -> None:
    register_pending("waiting-1")
    with pytest.raises(CommandError, match=f"lies in the {word}"):
        run(*command)
    assert key_of("waiting-1").status == "pending"


def test_a_late_found_compromise_is_reported_and_revoking_again_says_how() -> None:
    register_active("machine-1")
    key = key_of("machine-1")
    actor = Actor.client(key.client, key.thumbprint)
    record_event(actor=actor, action="schema.created", target_label="payroll")
    run("revoke_key", "machine-1", "--reason", "superseded")
    with pytest.raises(CommandError, match="report_compromise"):
        run("revoke_key", "machine-1", "--compromised-since", "2020-01-31")
    since = ("--since", "2020-01-31")
    with pytest.raises(CommandError, match="--reason"):
        run("report_compromise", "machine-1", *since)
    out = run("report_compromise", "machine-1", *since, "--reason", "stolen last year")
    assert "1 recorded acts are suspect" in out
    assert "suspect: schema.created payroll" in run("show_key", "machine-1")
    key.refresh_from_db()
    assert (key.status, key.revocation_reason) == ("revoked", "superseded")


def test_asking_all_to_rotate_skips_what_changed_meanwhile(monkeypatch: Any) -> None:
    for name in ("machine-1", "machine-2", "machine-3"):
        register_active(name)
    asked = rotation_requests.request

    def revoked_meanwhile(key: Key, **options: Any) -> bool:
        if key.client.client_id == "machine-2":
            run("revoke_key", "machine-2")
        return asked(key, **options)

    monkeypatch.setattr(rotation_requests, "request", revoked_meanwhile)
    out = run("rotate_key", "--all")
    assert "rotation of 2 keys" in out
    assert "Skipped 1" in out
    assert key_of("machine-3").rotate_by is not None


@pytest.mark.parametrize("as_json", [False, True])
def test_who_revokes_where_redis_cannot_be_told_hears_what_that_means(settings: Any, as_json: bool) -> None:
    register_active("machine-1")
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    settings.DATAFOLD_DIRECTORY_TTL_SECONDS = 17.0
    out, err = StringIO(), StringIO()
    call_command(
        "revoke_key", "machine-1", "--reason", "keyCompromise", as_json=as_json, stdout=out, stderr=err
    )
    assert key_of("machine-1").status == "revoked"
    assert "may still let in" in err.getvalue()
    assert "17 s" in err.getvalue()
    assert "REDIS_URL" in err.getvalue()
    if as_json:
        assert json.loads(out.getvalue())["status"] == "revoked"
    else:
        assert "next request" not in out.getvalue()
