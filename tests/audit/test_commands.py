from __future__ import annotations

import json
import tracemalloc
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import AuditCheckpoint, AuditEvent
from accounts.proofs import checkpoint_document
from tests.audit.log import append, seal, tamper

pytestmark = pytest.mark.django_db


def run(name: str, *args: str) -> str:
    out = StringIO()
    call_command(name, *args, stdout=out, stderr=StringIO())
    return out.getvalue()


def keep(path: Path, number: int, **change: Any) -> Path:
    path.write_text(json.dumps({**checkpoint_document(AuditCheckpoint.objects.get(number=number)), **change}))
    return path


def test_seal_and_verify() -> None:
    append(3)
    assert "are not sealed" in run("seal_audit_log", "--dry-run")
    assert "Sealed" in run("seal_audit_log")
    assert "Sealed 0 events" in run("seal_audit_log")
    assert "is intact" in run("verify_audit_log")


def test_a_tampered_log_fails_and_names_the_event() -> None:
    event = append(3)[1]
    seal()
    tamper(f"UPDATE accounts_auditevent SET reason = 'x' WHERE id = {event.pk}")
    out = StringIO()
    with pytest.raises(CommandError, match="NOT intact: 1 finding"):
        call_command("verify_audit_log", stdout=out, stderr=StringIO())
    assert f"Event {event.pk} was changed" in out.getvalue()
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("verify_audit_log", "--json", stdout=out, stderr=StringIO())
    report = json.loads(out.getvalue())
    assert report["intact"] is False
    assert report["findings"][0]["event"] == event.pk


def test_a_kept_checkpoint_shows_a_cut_tail(tmp_path: Path) -> None:
    append(2)
    seal()
    tail = append(2)
    seal()
    kept = keep(tmp_path / "kept.json", 2)
    assert "is intact" in run("verify_audit_log", "--checkpoint", str(kept))
    ids = ", ".join(str(event.pk) for event in tail)
    tamper(
        f"DELETE FROM accounts_auditseal WHERE event_id IN ({ids})",
        f"DELETE FROM accounts_auditevent WHERE id IN ({ids})",
        "DELETE FROM accounts_auditcheckpoint WHERE number = 2",
    )
    assert "is intact" in run("verify_audit_log")
    with pytest.raises(CommandError, match="NOT intact"):
        run("verify_audit_log", "--checkpoint", str(kept))


def test_a_checkpoint_file_that_is_none_is_refused(tmp_path: Path) -> None:
    append(1)
    seal()
    for path, why in [
        (tmp_path / "missing.json", "cannot be read"),
        (keep(tmp_path / "changed.json", 1, tree_size=99), "was changed"),
    ]:
        with pytest.raises(CommandError, match=why):
            run("verify_audit_log", "--checkpoint", str(path))


def test_the_answer_of_the_api_can_be_kept_as_it_is(tmp_path: Path) -> None:
    append(1)
    seal()
    document = checkpoint_document(AuditCheckpoint.objects.get(number=1))
    path = tmp_path / "kept.json"
    path.write_text(json.dumps({"success": True, "data": document, "error": None, "meta": {}}))
    assert "is intact" in run("verify_audit_log", "--checkpoint", str(path))


def test_trust_in_named_keys_only() -> None:
    append(1)
    seal()
    thumbprint = AuditCheckpoint.objects.get().thumbprint
    assert "is intact" in run("verify_audit_log", f"--trust={thumbprint}")
    with pytest.raises(CommandError, match="NOT intact"):
        run("verify_audit_log", "--trust=somebody-elses")


def test_export_writes_whole_files(tmp_path: Path) -> None:
    append(3)
    seal()
    path = tmp_path / "log.jsonl"
    run("export_audit_log", "--output", str(path))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == 1 + AuditEvent.objects.count()
    assert run("export_audit_log").splitlines() == path.read_text().splitlines()
    assert [entry.name for entry in tmp_path.iterdir()] == ["log.jsonl"]
    with pytest.raises(CommandError, match="cannot be written"):
        run("export_audit_log", "--output", str(tmp_path / "no-such-folder" / "log.jsonl"))


@pytest.mark.one_stack
def test_twenty_thousand_events_in_flat_memory() -> None:
    now = timezone.now()
    AuditEvent.objects.bulk_create(
        (
            AuditEvent(
                created_at=now, actor_kind="system", action="load", after={"number": number}, reason="x" * 100
            )
            for number in range(20_000)
        ),
        batch_size=2000,
    )
    seal()
    tracemalloc.start()
    assert "is intact" in run("verify_audit_log")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A group of checkpoints is held at once, not the log: about a kilobyte for each event of one batch.
    assert peak < 60_000_000
