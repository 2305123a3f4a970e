"""The state of the parts that DataFold runs on, for the dashboard. No check takes longer than half a second."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import redis
from celery.exceptions import CeleryError
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.models import Max
from django.utils import timezone
from kombu.exceptions import KombuError
from redis.backoff import NoBackoff
from redis.retry import Retry

from accounts.models import JobRun
from project.health.parts import why_no_writes

TIMEOUT_SECONDS = 0.5
REMEMBERED_SECONDS = 10
LATE = timedelta(minutes=5)

State = Literal["healthy", "away", "unused", "late"]


@dataclass(frozen=True, slots=True)
class Part:
    """`note` says what is known, or what to do."""

    name: str
    state: State
    note: str


def parts() -> list[Part]:
    """Database, Redis, worker and beat; remembered for ten seconds, so a missing one slows no page down."""
    found: list[Part] | None = cache.get("dashboard:parts")
    if found is None:
        found = [check_database(), check_redis(), *check_jobs()]
        cache.set("dashboard:parts", found, REMEMBERED_SECONDS)
    return found


def check_database() -> Part:
    started = time.perf_counter()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    except DatabaseError as error:
        return Part("Database", "away", str(error)[:200])
    milliseconds = (time.perf_counter() - started) * 1000
    return Part("Database", "healthy", f"{connection.display_name}, {milliseconds:.1f} ms")


def check_redis() -> Part:
    if not settings.REDIS_URL:
        return Part("Redis", "unused", "Nonces, rates and limits are kept in the database.")
    client = redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    started = time.perf_counter()
    try:
        why = why_no_writes(client)
    except (redis.RedisError, OSError):
        return Part("Redis", "away", f"It does not answer: {_until_it_does()}")
    finally:
        client.close()
    if why:
        return Part("Redis", "away", f"It takes no writes ({why}): {_until_it_does()}")
    return Part("Redis", "healthy", f"{(time.perf_counter() - started) * 1000:.1f} ms")


def _until_it_does() -> str:
    if settings.DATAFOLD_REPLAY_FALLBACK == "database":
        return "the database stands in for it."
    return "no signed request is let in until it does."


def check_jobs() -> tuple[Part, Part]:
    """Worker and beat. A job that was started on time shows that both live; else the worker is asked."""
    times = JobRun.objects.aggregate(started=Max("last_started"), finished=Max("last_finished"))
    recent = timezone.now() - LATE
    on_time = times["started"] is not None and times["started"] > recent
    last = f"last job {times['started']:%Y-%m-%d %H:%M} UTC" if times["started"] else "no job has run yet"
    if not settings.CELERY_BROKER_URL:
        if on_time:
            note = f"Not used: housekeeping runs the jobs, {last}."
            return Part("Worker", "unused", note), Part("Beat", "unused", note)
        note = f"No broker, and no housekeeping: start `manage.py housekeeping --every 5` ({last})."
        return Part("Worker", "late", note), Part("Beat", "late", note)
    beat = (
        Part("Beat", "healthy", last)
        if on_time
        else Part("Beat", "late", f"Nothing was due for minutes: {last}.")
    )
    if on_time and times["finished"] is not None and times["finished"] > recent:
        return Part("Worker", "healthy", last), beat
    return _ask_worker(), beat


def _ask_worker() -> Part:
    from project.celery import app

    try:
        answers = app.control.inspect(timeout=TIMEOUT_SECONDS, limit=1).ping()
    except (OSError, CeleryError, KombuError, redis.RedisError):
        return Part("Worker", "away", "The broker does not answer.")
    if not answers:
        return Part("Worker", "away", "No worker answers: keys expire late, no mail goes out.")
    return Part("Worker", "healthy", f"{next(iter(answers))} answers")
