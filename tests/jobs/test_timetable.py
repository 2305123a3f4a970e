from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import JobRun
from keys.jobs import JOBS
from keys.jobs.totals import sum_traffic
from keys.models import HourTotal, KeyUsage, RateCounter, Refusal, SpentNonce
from project.celery import TIMETABLE, app
from tests.jobs.keys import active


def run(name: str, *args: str) -> str:
    out = StringIO()
    call_command(name, *args, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_beat_runs_exactly_the_jobs() -> None:
    assert {name: job.every for name, job in JOBS.items()} == TIMETABLE
    assert {entry["args"] for entry in app.conf.beat_schedule.values()} == {(name,) for name in JOBS}
    assert {entry["task"] for entry in app.conf.beat_schedule.values()} == {"keys.tasks.run_job"}


@pytest.mark.django_db
def test_the_task_runs_a_job_eagerly_without_a_broker() -> None:
    from keys.tasks import run_job

    assert run_job.apply(args=("heartbeat",)).get() == {}
    assert JobRun.objects.get(name="heartbeat").last_finished is not None


@pytest.mark.django_db
def test_housekeeping_runs_everything_and_says_what_it_did() -> None:
    active("a-1", expires_at=timezone.now() - timedelta(days=1))
    results = json.loads(run("housekeeping", "--json"))
    assert set(results) == set(JOBS)
    assert results["expire-keys"] == {"expired": 1}
    assert results["seal-audit-log"]["checkpoints"] == 1
    assert set(JobRun.objects.values_list("name", flat=True)) == set(JOBS)
    assert "expire-keys: nothing due" in run("housekeeping", "--job", "expire-keys")


@pytest.mark.django_db
def test_one_job_that_fails_does_not_stop_the_others(settings: Any) -> None:
    settings.DATAFOLD_ENCRYPTION_KEYS = []
    active("a-1", expires_at=timezone.now() - timedelta(days=1))
    with pytest.raises(CommandError, match="seal-audit-log"):
        run("housekeeping")
    assert JobRun.objects.get(name="expire-keys").last_result == {"expired": 1}


@pytest.mark.django_db
def test_expire_keys_dry_run_changes_nothing() -> None:
    key = active("a-1", expires_at=timezone.now() - timedelta(days=1))
    assert "would expire" in run("expire_keys", "--dry-run")
    key.refresh_from_db()
    assert key.status == "active"
    assert "Expired 1 keys" in run("expire_keys")


@pytest.mark.django_db
def test_what_has_no_use_any_more_is_purged_in_batches(monkeypatch: Any) -> None:
    monkeypatch.setattr("keys.jobs.purge.BATCH", 2)
    now = timezone.now()
    key = active("a-1")
    for number in range(5):
        SpentNonce.objects.create(client_id="a-1", nonce=f"old-{number}", expires_at=now - timedelta(hours=1))
        RateCounter.objects.create(subject=f"s-{number}", window=1)
        KeyUsage.objects.create(key=key, hour=now - timedelta(days=100 + number))
        Refusal.objects.create(
            created_at=now - timedelta(days=30), request_id="r", code="X", message="", method="GET", path="/"
        )
    SpentNonce.objects.create(client_id="a-1", nonce="fresh", expires_at=now + timedelta(minutes=5))
    KeyUsage.objects.create(key=key, hour=now)
    results = json.loads(
        run("housekeeping", "--json", "--job", "purge-replay-memory", "--job", "purge-statistics")
    )
    assert results["purge-replay-memory"] == {"nonces": 5, "rates": 5}
    assert results["purge-statistics"] == {"usage": 5, "hour_totals": 0, "refusal_counts": 0, "refusals": 5}
    assert list(SpentNonce.objects.values_list("nonce", flat=True)) == ["fresh"]
    assert KeyUsage.objects.count() == 1


@pytest.mark.django_db
def test_ended_sessions_and_old_failed_logins_are_purged() -> None:
    now = timezone.now()
    for name, ends in (("ended", now - timedelta(minutes=1)), ("running", now + timedelta(minutes=1))):
        Session.objects.create(session_key=name, session_data="", expire_date=ends)
    for name, age in (("old", timedelta(days=2)), ("locked", timedelta(minutes=1))):
        attempt = AccessAttempt.objects.create(username=name, ip_address="192.0.2.1", failures_since_start=3)
        AccessAttempt.objects.filter(pk=attempt.pk).update(attempt_time=now - age)
    results = json.loads(run("housekeeping", "--json", "--job", "purge-sessions"))
    assert results["purge-sessions"] == {"sessions": 1, "failed_logins": 1}
    assert Session.objects.get().session_key == "running"
    assert AccessAttempt.objects.get().username == "locked"


@pytest.mark.django_db
def test_hours_are_summed_once_they_are_over() -> None:
    key, other = active("a-1"), active("b-1")
    now = timezone.now().replace(minute=30)
    running = now.replace(minute=0, second=0, microsecond=0)
    for counted in (key, other):
        KeyUsage.objects.create(key=counted, hour=running - timedelta(hours=3), count=5)
        KeyUsage.objects.create(key=counted, hour=running, count=2)
    for _ in range(2):
        sum_traffic(now)
    assert HourTotal.objects.get(hour=running - timedelta(hours=3)).verified == 10
    assert HourTotal.objects.get(hour=running - timedelta(hours=3)).settled
    assert not HourTotal.objects.get(hour=running).settled
    KeyUsage.objects.filter(key=key, hour=running).update(count=7)
    sum_traffic(now)
    assert HourTotal.objects.get(hour=running).verified == 9
    assert HourTotal.objects.count() == 24
