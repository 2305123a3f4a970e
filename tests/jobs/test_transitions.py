from __future__ import annotations

import threading
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from accounts.models import AuditEvent, JobRun
from keys import jobs
from keys.models import Key, KeyStatus
from tests.jobs.keys import active, ago, pending, rotated, set_columns

pytestmark = pytest.mark.django_db


def test_keys_past_their_end_expire_once() -> None:
    due, alive = active("a-1", expires_at=ago(seconds=1)), active("a-2")
    assert jobs.run("expire-keys") == {"expired": 1}
    assert jobs.run("expire-keys") == {"expired": 0}
    due.refresh_from_db()
    alive.refresh_from_db()
    assert (due.status, alive.status) == ("expired", "active")
    assert AuditEvent.objects.filter(action="key.expired").count() == 1


def test_suspended_keys_expire_too() -> None:
    key = active("a-1")
    call_command("suspend_key", "a-1", stdout=StringIO())
    set_columns(key, expires_at=ago(days=30))
    assert jobs.run("expire-keys") == {"expired": 1}


def test_more_than_one_batch(monkeypatch: Any) -> None:
    monkeypatch.setattr("keys.jobs.transitions.BATCH", 2)
    for number in range(5):
        active(f"a-{number}", expires_at=ago(days=1))
    assert jobs.run("expire-keys") == {"expired": 5}


def test_a_rotated_key_retires_when_its_grace_is_over() -> None:
    old, _ = rotated("a-1", grace=timedelta(hours=1))
    assert jobs.run("retire-keys") == {"retired": 0, "moved": 0}
    set_columns(old, retire_at=ago(seconds=1))
    assert jobs.run("retire-keys") == {"retired": 1, "moved": 0}
    old.refresh_from_db()
    assert old.status == KeyStatus.RETIRED


@pytest.fixture
def _on_database(settings: Any) -> None:
    settings.REDIS_URL = ""


@pytest.mark.usefixtures("_on_database")
@pytest.mark.parametrize(
    ("old_used", "successor_used", "moved"),
    [
        (90, 10, 1),  # the old key is silent for 90 minutes, the new one is used
        (None, 10, 1),
        (30, 10, 0),  # the old one was used half an hour ago
        (90, None, 0),  # nobody uses either
        (90, 100, 0),  # the last to be used was the old one
    ],
)
def test_a_rotated_key_retires_when_its_traffic_has_moved(
    old_used: int | None, successor_used: int | None, moved: int
) -> None:
    old, successor = rotated("a-1")
    set_columns(old, decided_at=ago(hours=3), last_used_at=old_used and ago(minutes=old_used))
    set_columns(successor, last_used_at=successor_used and ago(minutes=successor_used))
    assert jobs.run("retire-keys")["moved"] == moved


@pytest.mark.usefixtures("_on_database")
def test_it_does_not_retire_right_after_the_rotation() -> None:
    old, successor = rotated("a-1")
    set_columns(old, last_used_at=ago(days=2))
    set_columns(successor, last_used_at=timezone.now())
    assert jobs.run("retire-keys")["moved"] == 0


def test_silence_only_counts_up_to_the_last_flush(settings: Any) -> None:
    """On Redis, use is not known before it is flushed: a key must not retire because nothing was looked at."""
    settings.REDIS_URL = "redis://localhost:1/0"
    old, successor = rotated("a-1")
    set_columns(old, decided_at=ago(hours=3), last_used_at=ago(minutes=170))
    set_columns(successor, last_used_at=ago(minutes=150))
    assert jobs.run("retire-keys")["moved"] == 0
    JobRun.objects.create(name="flush-usage", complete_until=ago(minutes=125))
    assert jobs.run("retire-keys")["moved"] == 0
    JobRun.objects.filter(name="flush-usage").update(complete_until=ago(minutes=1))
    assert jobs.run("retire-keys")["moved"] == 1


def test_registrations_that_waited_too_long_are_rejected(settings: Any) -> None:
    settings.DATAFOLD_PENDING_LIFETIME_DAYS = 30
    stale, waiting = pending("p-1"), pending("p-2")
    with connection.cursor() as cursor:  # registered_at is frozen by a trigger
        _age(cursor, stale)
    assert jobs.run("reject-stale-registrations") == {"rejected": 1}
    stale.refresh_from_db()
    waiting.refresh_from_db()
    assert (stale.status, waiting.status) == ("rejected", "pending")
    assert "30 days" in stale.decision_reason
    settings.DATAFOLD_PENDING_LIFETIME_DAYS = 0
    assert jobs.run("reject-stale-registrations") == {"rejected": 0}


def test_a_failure_is_on_record_and_heals(settings: Any) -> None:
    settings.DATAFOLD_ENCRYPTION_KEYS = []
    active("a-1")
    with pytest.raises(Exception, match="DATAFOLD_ENCRYPTION_KEYS"):
        jobs.run("seal-audit-log")
    run = JobRun.objects.get(name="seal-audit-log")
    assert "DATAFOLD_ENCRYPTION_KEYS" in run.last_error
    assert run.complete_until is None
    from cryptography.fernet import Fernet

    settings.DATAFOLD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    jobs.run("seal-audit-log")
    run.refresh_from_db()
    assert run.last_error == ""
    assert run.last_result["events"] >= 2
    assert run.complete_until is not None


@pytest.mark.django_db(transaction=True)
def test_the_job_runs_four_times_at_once() -> None:
    for number in range(6):
        active(f"a-{number}", expires_at=ago(days=1))
    counts, errors, barrier = [], [], threading.Barrier(4)

    def work() -> None:
        try:
            barrier.wait()
            counts.append(jobs.run("expire-keys")["expired"])
        except Exception as error:  # noqa: BLE001
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sum(counts) == 6
    assert AuditEvent.objects.filter(action="key.expired").count() == 6
    assert set(Key.objects.values_list("status", flat=True)) == {"expired"}


def _age(cursor: Any, key: Key) -> None:
    moment = ago(days=31).isoformat()
    if connection.vendor == "sqlite":
        cursor.execute("SELECT sql FROM sqlite_master WHERE name = 'key_material_frozen'")
        (sql,) = cursor.fetchone()
        cursor.execute("DROP TRIGGER key_material_frozen")
        cursor.execute(
            "UPDATE keys_key SET registered_at = %s WHERE id = %s",
            [moment.replace("T", " ")[:26], key.pk.hex],
        )
        cursor.execute(sql)
    else:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE keys_key SET registered_at = %s WHERE id = %s", [moment, key.pk])
        cursor.execute("SET LOCAL session_replication_role = origin")
