"""What the owner of the database changes in the log shows, and verification says which event it was."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from accounts.leaves import LEAF_COLUMNS, event_leaf
from accounts.models import AuditCheckpoint, AuditEvent, AuditSeal
from accounts.proofs import checkpoint_document
from accounts.sealing import checkpoint_body, checkpoint_facts
from keys.httpsig.signing import PrivateKey
from keys.models import ServerKey
from tests.audit.log import TABLES, append, kinds, seal, tamper, verify
from tests.support.registered import register_pending

pytestmark = pytest.mark.django_db


@pytest.fixture
def events() -> list[AuditEvent]:
    """Twelve events under three checkpoints; the server key's own event comes first."""
    made = []
    for _ in range(3):
        made += append(4)
        seal()
    return made


def test_an_untouched_log_is_intact(events: list[AuditEvent]) -> None:
    report = verify()
    assert report.intact
    assert (report.checkpoints, report.events, report.unsealed) == (3, AuditEvent.objects.count(), 0)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("statement", ["UPDATE {0} SET {1} = {1}", "DELETE FROM {0}"])
def test_the_database_refuses_to_change_the_log(events: list[AuditEvent], table: str, statement: str) -> None:
    column = {
        "accounts_auditevent": "reason",
        "accounts_auditcheckpoint": "root",
        "accounts_auditseal": "leaf_hash",
    }
    with (
        pytest.raises(DatabaseError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement.format(table, column[table]))


@pytest.mark.parametrize("table", [*TABLES, "keys_key"])
def test_the_database_refuses_to_replace_or_empty_it(events: list[AuditEvent], table: str) -> None:
    register_pending("orders")
    statement = f"TRUNCATE {table} CASCADE"
    if connection.vendor == "sqlite":
        statement = f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}"
    connection.check_constraints()  # what is deferred counts as a use of the table
    with (
        pytest.raises(DatabaseError, match=r"append-only|never deleted"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


def test_models_refuse_it_too(events: list[AuditEvent]) -> None:
    for model in (AuditCheckpoint, AuditSeal):
        with pytest.raises(TypeError):
            model.objects.all().delete()
        with pytest.raises(TypeError):
            model.objects.update()


@pytest.mark.parametrize(
    "change",
    [
        "reason = 'it was somebody else'",
        "actor_label = 'bob'",
        "created_at = '2026-01-01 00:00:00+00:00'",
        "after = '{\"number\": 5}'",
        "after = NULL",
        "address = '10.0.0.1'",
    ],
)
def test_an_edited_event(events: list[AuditEvent], change: str) -> None:
    edited = events[5]
    tamper(f"UPDATE accounts_auditevent SET {change} WHERE id = {edited.pk}")
    [finding] = verify().findings
    assert (finding.kind, finding.event, finding.checkpoint) == ("edited", edited.pk, 2)
    assert f"Event {edited.pk} was changed" in finding.message


def test_an_event_deleted_in_the_middle(events: list[AuditEvent]) -> None:
    gone = events[6]
    tamper(f"DELETE FROM accounts_auditevent WHERE id = {gone.pk}")
    [finding] = verify().findings
    assert (finding.kind, finding.event, finding.checkpoint) == ("deleted", gone.pk, 2)


def test_an_event_deleted_with_its_seal(events: list[AuditEvent]) -> None:
    gone = events[6]
    place = AuditSeal.objects.get(event=gone).index
    tamper(
        f"DELETE FROM accounts_auditevent WHERE id = {gone.pk}",
        f"DELETE FROM accounts_auditseal WHERE event_id = {gone.pk}",
    )
    [finding] = verify().findings
    assert finding.kind == "deleted"
    assert f"leaf {place} of checkpoint 2" in finding.message


def test_an_event_and_its_seal_changed_together(events: list[AuditEvent]) -> None:
    edited = events[5]
    tamper(f"UPDATE accounts_auditevent SET reason = 'x' WHERE id = {edited.pk}")
    leaf = event_leaf(AuditEvent.objects.values_list(*LEAF_COLUMNS).get(pk=edited.pk)).hex()
    literal = f"X'{leaf}'" if connection.vendor == "sqlite" else f"'\\x{leaf}'"
    tamper(f"UPDATE accounts_auditseal SET leaf_hash = {literal} WHERE event_id = {edited.pk}")
    [finding] = verify().findings
    assert (finding.kind, finding.checkpoint) == ("edited", 2)
    assert f"{events[4].pk} to {events[7].pk}" in finding.message


def test_two_events_that_changed_places(events: list[AuditEvent]) -> None:
    one, other = events[4].pk, events[5].pk
    tamper(
        f"UPDATE accounts_auditevent SET id = -1 WHERE id = {one}",
        f"UPDATE accounts_auditevent SET id = {one} WHERE id = {other}",
        f"UPDATE accounts_auditevent SET id = {other} WHERE id = -1",
    )
    assert {finding.event for finding in verify().findings} == {one, other}


def test_two_seals_that_changed_places(events: list[AuditEvent]) -> None:
    one, other = events[4].pk, events[6].pk
    first, second = (AuditSeal.objects.get(event_id=pk).index for pk in (one, other))
    tamper(
        f"UPDATE accounts_auditseal SET {quoted('index')} = 99 WHERE event_id = {one}",
        f"UPDATE accounts_auditseal SET {quoted('index')} = {first} WHERE event_id = {other}",
        f"UPDATE accounts_auditseal SET {quoted('index')} = {second} WHERE event_id = {one}",
    )
    report = verify()
    assert kinds(report) == {"reordered"}
    assert {finding.event for finding in report.findings} == {one, other}


def test_an_event_added_to_a_signed_batch(events: list[AuditEvent]) -> None:
    [added] = append(1)
    leaf = event_leaf(AuditEvent.objects.values_list(*LEAF_COLUMNS).get(pk=added.pk))
    AuditSeal.objects.bulk_create([AuditSeal(event_id=added.pk, checkpoint_id=2, index=4, leaf_hash=leaf)])
    [finding] = verify().findings
    assert (finding.kind, finding.event) == ("inserted", added.pk)


@pytest.mark.parametrize("sealed_later", [False, True])
def test_an_event_slipped_in_under_an_old_date(events: list[AuditEvent], *, sealed_later: bool) -> None:
    AuditEvent.objects.bulk_create(
        [
            AuditEvent(
                created_at=timezone.now() - timedelta(days=3), actor_kind="operator", action="key.approved"
            )
        ]
    )
    slipped = AuditEvent.objects.latest("id")
    if sealed_later:
        append(1)
        seal(everything=True)
    [finding] = verify().findings
    assert (finding.kind, finding.event) == ("inserted", slipped.pk)
    assert "old date" in finding.message


def test_a_cut_tail_shows_against_a_kept_checkpoint(events: list[AuditEvent]) -> None:
    kept = checkpoint_document(AuditCheckpoint.objects.get(number=3))
    cut = ", ".join(str(event.pk) for event in events[8:])
    tamper(
        f"DELETE FROM accounts_auditseal WHERE event_id IN ({cut})",
        f"DELETE FROM accounts_auditevent WHERE id IN ({cut})",
        "DELETE FROM accounts_auditcheckpoint WHERE number = 3",
    )
    assert verify().intact  # nobody who has only the database can know
    [finding] = verify(kept=[kept]).findings
    assert finding.kind == "tail_cut"
    assert "checkpoint 3 was kept" in finding.message
    # Sealed anew, the log has a checkpoint 3 again, and it is another one.
    append(4)
    seal()
    sound = checkpoint_document(AuditCheckpoint.objects.get(number=3))
    for documents in ([kept], [kept, sound], [sound, kept]):
        [finding] = verify(kept=documents).findings
        assert "not the one that was kept" in finding.message


def test_a_checkpoint_cut_out_of_the_middle(events: list[AuditEvent]) -> None:
    tamper(
        "DELETE FROM accounts_auditseal WHERE checkpoint_id = 2",
        "DELETE FROM accounts_auditcheckpoint WHERE number = 2",
    )
    report = verify()
    assert "Checkpoint 2 was deleted" in report.findings[0].message


@pytest.mark.parametrize(
    "change",
    ["batch_size = 3", "tree_size = 99", "sealed_at = '2026-01-01 00:00:00+00:00'", "complete_until = NULL"],
)
def test_a_changed_checkpoint(events: list[AuditEvent], change: str) -> None:
    tamper(f"UPDATE accounts_auditcheckpoint SET {change} WHERE number = 2")
    assert "key" in kinds(verify())


def test_a_log_rewritten_under_a_key_of_ones_own(events: list[AuditEvent]) -> None:
    """Whoever owns the database can insert a server key, but not one that opens under the encryption keys."""
    own = PrivateKey.generate()
    real = ServerKey.objects.get(active=True)
    ServerKey.objects.create(
        thumbprint=own.public_key.thumbprint,
        algorithm="ed25519",
        jwk=own.public_key.jwk(),
        secret=real.secret,
        active=False,
        created_at=timezone.now(),
        retired_at=timezone.now(),
        published_until=timezone.now(),
    )
    checkpoint = AuditCheckpoint.objects.get(number=3)
    checkpoint.thumbprint, checkpoint.jwk = own.public_key.thumbprint, own.public_key.jwk()
    signature = own.sign(checkpoint_body(checkpoint_facts(checkpoint))).hex()
    literal = f"X'{signature}'" if connection.vendor == "sqlite" else f"'\\x{signature}'"
    tamper(
        f"UPDATE accounts_auditcheckpoint SET thumbprint = '{checkpoint.thumbprint}', "
        f"jwk = '{json.dumps(checkpoint.jwk)}', signature = {literal} WHERE number = 3"
    )
    [finding] = verify().findings
    assert finding.kind == "key"
    assert "none of this server's" in finding.message


def test_findings_are_bounded(events: list[AuditEvent], monkeypatch: Any) -> None:
    monkeypatch.setattr("accounts.audit_check.MAX_FINDINGS", 3)
    tamper("UPDATE accounts_auditevent SET reason = 'x'")
    report = verify()
    assert len(report.findings) == 3
    assert report.more_findings == AuditEvent.objects.count() - 3


def quoted(name: str) -> str:
    return connection.ops.quote_name(name)


def test_a_document_is_checkable_with_other_software(events: list[AuditEvent]) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    document = checkpoint_document(AuditCheckpoint.objects.get(number=2))
    x = document["jwk"]["x"]
    body = {name: value for name, value in document.items() if name not in ("hash", "signature", "jwk")}
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(x + "=")).verify(
        base64.b64decode(document["signature"]), canonical
    )
