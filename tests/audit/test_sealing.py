from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts import sealing
from accounts.audit import Actor, record_event
from accounts.leaves import LEAF_COLUMNS, leaf_data
from accounts.merkle import leaf_hash, root_from_path
from accounts.models import AuditCheckpoint, AuditEvent, AuditSeal
from accounts.proofs import AuditEventNotFound, AuditEventNotSealed, export, inclusion_proof
from keys.server_keys import current_signer
from tests.audit.log import append, seal, verify

pytestmark = pytest.mark.django_db


def test_every_column_of_an_event_is_sealed() -> None:
    assert {field.attname for field in AuditEvent._meta.concrete_fields} == set(LEAF_COLUMNS)


def test_sealing_twice_seals_once() -> None:
    append(3)
    assert seal()["checkpoints"] == 1
    assert seal() == {"checkpoints": 0, "events": 0}
    assert AuditSeal.objects.count() == AuditEvent.objects.count()


def test_an_empty_log_has_no_checkpoint() -> None:
    current_signer()  # its own creation is an event
    seal()
    before = AuditCheckpoint.objects.count()
    seal()
    assert AuditCheckpoint.objects.count() == before


def test_a_backlog_is_split_into_batches(monkeypatch: Any) -> None:
    monkeypatch.setattr(sealing, "BATCH", 5)
    current_signer()
    append(12)
    assert seal() == {"checkpoints": 3, "events": 13}
    assert list(AuditCheckpoint.objects.order_by("number").values_list("batch_size", "tree_size")) == [
        (5, 5),
        (5, 10),
        (3, 13),
    ]
    assert verify().intact


def test_a_backlog_of_days_is_no_tampering(monkeypatch: Any) -> None:
    monkeypatch.setattr(sealing, "BATCH", 2)
    append(1)
    seal(now=timezone.now() - timedelta(days=9))
    days_ago = timezone.now() - timedelta(days=8)
    AuditEvent.objects.bulk_create(
        [AuditEvent(created_at=days_ago, actor_kind="system", action="a") for _ in range(7)]
    )
    append(2)
    seal()
    assert verify().intact


def test_an_event_that_commits_late_is_in_the_next_batch() -> None:
    append(2)
    seal()
    late = AuditEvent(created_at=timezone.now() - timedelta(minutes=10), actor_kind="system", action="late")
    late.save()
    append(1)
    assert seal()["events"] == 2
    assert verify().intact


@pytest.mark.parametrize(
    "value",
    [
        {"big": 2**70, "float": 1e-7, "list": [1.5, None, True]},
        {"half": "\ud800", "é": 1, "\uffff": 2, "\U0001f600": 3},
        {"nested": [[{"a": [1, {"b": "\u0000\u001f"}]}]]},
    ],
)
def test_whatever_can_be_stored_can_be_sealed(value: dict[str, Any]) -> None:
    if connection.vendor == "postgresql" and ("half" in value or "nested" in value):
        pytest.skip("PostgreSQL does not store it")
    record_event(actor=Actor.anonymous(), action="odd", after=value)
    seal()
    assert verify().intact


def test_the_fast_encoder_writes_rfc_8785() -> None:
    import rfc8785

    from accounts.leaves import leaf_facts

    after = {"b": [1, -5, True, None, 'é\u2028"\\/\u0007😀'], "a": {"z": "", "A": 2**53 - 1}}
    event = record_event(actor=Actor.anonymous(), action="a", after=after, reason="tab\t")
    row = AuditEvent.objects.values_list(*LEAF_COLUMNS).get(pk=event.pk)
    assert leaf_data(row) == rfc8785.dumps(leaf_facts(row))


def test_proofs_hold_without_the_server() -> None:
    import rfc8785

    events = append(11)
    seal()
    for event in events:
        proof = inclusion_proof(event.pk)
        checkpoint = proof["checkpoint"]
        leaf = leaf_hash(rfc8785.dumps(proof["event"]))
        path = [bytes.fromhex(node) for node in proof["path"]]
        root = root_from_path(leaf, proof["index"], checkpoint["batch_size"], path)
        assert root is not None
        assert root.hex() == checkpoint["root"]


def test_no_proof_without_a_seal() -> None:
    [event] = append(1)
    with pytest.raises(AuditEventNotSealed):
        inclusion_proof(event.pk)
    with pytest.raises(AuditEventNotFound):
        inclusion_proof(event.pk + 1000)


def test_export_is_complete_and_provable() -> None:
    append(5)
    seal()
    append(3)
    seal()
    lines = list(export())
    checkpoints = {line["checkpoint"]["number"]: line["checkpoint"] for line in lines if "checkpoint" in line}
    events = [line for line in lines if "event" in line]
    assert [line["event"]["id"] for line in events] == list(
        AuditEvent.objects.order_by("id").values_list("id", flat=True)
    )
    for line in events:
        checkpoint = checkpoints[line["checkpoint_number"]]
        path = [bytes.fromhex(node) for node in line["path"]]
        root = root_from_path(bytes.fromhex(line["leaf_hash"]), line["index"], checkpoint["batch_size"], path)
        assert root is not None
        assert root.hex() == checkpoint["root"]
    assert len(list(export(first=2))) == 1 + 3


@pytest.mark.django_db(transaction=True)
def test_two_sealers_at_once_seal_once() -> None:
    current_signer()
    append(300)
    barrier, errors = threading.Barrier(4), []

    def work() -> None:
        try:
            barrier.wait()
            seal()
        except Exception as error:  # noqa: BLE001
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seal()
    assert errors == []
    assert AuditSeal.objects.count() == AuditEvent.objects.count() == 301
    report = verify()
    assert report.intact
    assert report.events == 301


@pytest.mark.django_db(transaction=True)
def test_appending_goes_on_while_sealing() -> None:
    current_signer()
    stop, errors = threading.Event(), []

    def write() -> None:
        try:
            while not stop.is_set():
                append(1)
        except Exception as error:  # noqa: BLE001
            errors.append(error)
        finally:
            connection.close()

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    for _ in range(10):
        seal()
    stop.set()
    for writer in writers:
        writer.join()
    seal()
    assert errors == []
    report = verify()
    assert report.intact
    assert report.events == AuditEvent.objects.count()


def test_every_new_checkpoint_goes_to_the_log(caplog: Any) -> None:
    """Whoever collects the logs holds checkpoints that the owner of the database cannot reach."""
    from accounts.audit_check import document_problem
    from keys import jobs

    append(2)
    with caplog.at_level("INFO", logger="keys.jobs.sealing"):
        jobs.run("seal-audit-log")
        jobs.run("seal-audit-log")
    [record] = [record for record in caplog.records if record.message == "audit log sealed"]
    assert document_problem(record.checkpoint) == ""
