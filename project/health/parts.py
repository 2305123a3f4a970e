"""The parts that DataFold runs on, and how each is asked. A check may block: `project.health.probes` bounds it."""

from __future__ import annotations

import os
import shutil
import threading
import time
from datetime import timedelta
from functools import lru_cache
from typing import Any

import psutil
import redis
from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from accounts.models import JobRun
from keys.replay.connection import PROBE_KEY, PROBE_MILLISECONDS
from project import queues
from project.db.clock import unix_now_sql
from project.health.probes import Facts, Probes
from project.queues import redis_client

REPORT_SECONDS = 3.0
_WORKER_SECONDS = 0.7
_MIGRATIONS_REMEMBERED_SECONDS = 30.0


def probes() -> Probes:
    """This process's."""
    return _probes(os.getpid())


@lru_cache(maxsize=1)
def _probes(pid: int) -> Probes:
    return Probes(
        {
            "database": check_database,
            "migrations": check_migrations,
            "redis": check_redis,
            "broker": check_broker,
            "workers": check_workers,
            "beat": check_beat,
        }
    )


class Report:
    """What all parts say, remembered for REPORT_SECONDS: anybody may ask, and workers take their time to answer.

    One asks, and whoever comes meanwhile waits for the same answer.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = 0.0
        self._parts: dict[str, Facts] = {}

    def read(self) -> dict[str, Facts]:
        with self._lock:
            if self._until <= time.monotonic():
                self._parts = probes().ask(all_parts())
                self._until = time.monotonic() + REPORT_SECONDS
            return self._parts


report = Report()


def needed_parts() -> list[str]:
    """Without these no signed request can be served."""
    return ["database", "redis"] if settings.REDIS_URL else ["database"]


def serving_parts() -> list[str]:
    """Those without which no request can be served: Redis is none where the database stands in for it."""
    return ["database"] if settings.DATAFOLD_REPLAY_FALLBACK == "database" else needed_parts()


def all_parts() -> list[str]:
    background = ["broker", "workers", "beat"] if settings.CELERY_BROKER_URL else ["beat"]
    return [*needed_parts(), "migrations", *background]


def check_database() -> Facts:
    """Its clock is compared with ours: dates of keys are judged by both."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        before = time.time()
        cursor.execute(f"SELECT {unix_now_sql()}")
        theirs = float(cursor.fetchone()[0])
    return {"kind": connection.vendor, "clock_offset_ms": _offset(theirs, before)}


class _Migrations:
    """Migrations are applied and stay so: a plan without gaps is remembered for half a minute."""

    def __init__(self) -> None:
        self._applied_until = 0.0

    def __call__(self) -> Facts:
        if self._applied_until > time.monotonic():
            return {}
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if missing:
            return {
                "status": "unhealthy",
                "error": f"{len(missing)} migrations are not applied: run manage.py migrate",
            }
        self._applied_until = time.monotonic() + _MIGRATIONS_REMEMBERED_SECONDS
        return {}


check_migrations = _Migrations()


def check_redis() -> Facts:
    with redis_client(settings.REDIS_URL) as client:
        before = time.time()
        seconds, microseconds = client.time()
        facts: Facts = {"clock_offset_ms": _offset(seconds + microseconds / 1e6, before)}
        if why := why_no_writes(client):
            facts |= {"status": "unhealthy", "error": f"takes no writes: {why}"}
        return facts


def why_no_writes(client: redis.Redis) -> str:
    """Redis' own words where it answers and takes no write (full, a replica, …); "" where all is well.

    Raises:
        redis.RedisError, OSError: it does not answer.
    """
    try:
        client.set(PROBE_KEY, "", px=PROBE_MILLISECONDS)
    except redis.ResponseError as error:
        return str(error)[:200]
    return ""


def check_broker() -> Facts:
    if not settings.CELERY_BROKER_URL.startswith(("redis://", "rediss://", "unix://")):
        from project.celery import app

        with app.connection_for_read() as broker:
            broker.ensure_connection(max_retries=0, timeout=_WORKER_SECONDS)
    depth, oldest = queues.state()
    return {"queued": depth, "oldest_seconds": oldest}


def check_workers() -> Facts:
    """Each worker that answers, and for how long it has run."""
    from project.celery import app

    answers: dict[str, Any] = app.control.inspect(timeout=_WORKER_SECONDS).stats() or {}
    if not answers:
        return {"status": "unhealthy", "error": "no worker answers: keys expire late, no mail goes out"}
    return {
        "workers": {name: {"uptime_seconds": stats.get("uptime")} for name, stats in sorted(answers.items())}
    }


def check_beat() -> Facts:
    """When the heartbeat job last began: beat sent it and a worker, or housekeeping, took it."""
    from keys.jobs import HEARTBEAT, JOBS

    last = JobRun.objects.values_list("last_started", flat=True).filter(name=HEARTBEAT).first()
    if last is None:
        return {"status": "unhealthy", "error": "no job has run yet", "last_tick": None}
    age = timezone.now() - last
    facts: Facts = {"last_tick": last.isoformat(), "age_seconds": round(age.total_seconds(), 1)}
    late_after = 3 * JOBS[HEARTBEAT].every + timedelta(seconds=60)
    return facts if age <= late_after else {**facts, "status": "unhealthy", "error": "no job ran for minutes"}


def _offset(theirs: float, before: float) -> float:
    """How far their clock is ahead of ours, in milliseconds; half the round trip is the error."""
    return round((theirs - (before + time.time()) / 2) * 1000, 1)


def process_facts() -> Facts:
    process = psutil.Process()
    memory, disk = psutil.virtual_memory(), shutil.disk_usage(settings.DATA_DIR)
    return {
        "memory_usage_mb": round(process.memory_info().rss / 1_048_576, 1),
        "memory_available_mb": round(memory.available / 1_048_576, 1),
        "cpu_percent": psutil.cpu_percent(),
        "load_average": [round(load, 2) for load in psutil.getloadavg()],
        "disk_usage_percent": round(disk.used / disk.total * 100, 1),
        "disk_free_mb": round(disk.free / 1_048_576, 1),
        "threads": threading.active_count(),
        "pid": process.pid,
    }


def uptime_seconds() -> float:
    return round(time.time() - psutil.Process().create_time(), 1)
