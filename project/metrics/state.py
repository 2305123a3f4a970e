"""What is read from database and broker when Prometheus asks: the same from whichever process answers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import lru_cache

from django.conf import settings
from django.db.models import Count, Min
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from accounts.models import AuditCheckpoint, JobRun
from accounts.sealing import LATE, unsealed
from keys.models import Key, KeyStatus
from project import queues
from project.health.probes import Facts, Probes

REMEMBERED_SECONDS = 10.0
KEYS_REMEMBERED_SECONDS = 60.0


class StateCollector(Collector):
    """Asks within two seconds; what hangs is left out, and `datafold_state_up` says so."""

    def __init__(self) -> None:
        self._probes = Probes({"database": read_database, "queue": read_queue})
        self._read_at = 0.0
        self._state: dict[str, Facts] = {}

    def describe(self) -> Iterator[GaugeMetricFamily]:
        yield from families({})

    def collect(self) -> Iterator[GaugeMetricFamily]:
        if time.monotonic() - self._read_at > REMEMBERED_SECONDS:
            names = ["database", "queue"] if settings.CELERY_BROKER_URL else ["database"]
            self._state = self._probes.ask(names)
            self._read_at = time.monotonic()
        yield from families(self._state)


def families(state: dict[str, Facts]) -> Iterator[GaugeMetricFamily]:
    """The gauges of a state as the probes returned it; without values where it is unknown."""
    up = GaugeMetricFamily(
        "datafold_state_up", "1 where the part could be asked for its state.", labels=["part"]
    )
    keys = GaugeMetricFamily("datafold_keys", "Keys by state.", labels=["status"])
    lag = GaugeMetricFamily(
        "datafold_audit_seal_lag_seconds",
        "Age of the oldest event of the audit log that is not sealed; 0 for none.",
    )
    # Not "job": Prometheus has a label of that name on whatever it scrapes, and puts ours aside.
    started = GaugeMetricFamily(
        "datafold_job_last_started_timestamp_seconds", "When each job last began.", labels=["task"]
    )
    finished = GaugeMetricFamily(
        "datafold_job_last_success_timestamp_seconds", "When each job last ran through.", labels=["task"]
    )
    failing = GaugeMetricFamily("datafold_job_failing", "1 where the job's last run failed.", labels=["task"])
    depth = GaugeMetricFamily("datafold_queue_depth", "Background jobs that wait for a worker.")
    oldest = GaugeMetricFamily(
        "datafold_queue_oldest_seconds", "How long the oldest waiting job has waited; 0 for none."
    )
    for part, facts in state.items():
        up.add_metric([part], float(facts["status"] == "healthy"))
    database, queue = state.get("database", {}), state.get("queue", {})
    for status, count in database.get("keys", {}).items():
        keys.add_metric([status], count)
    if "seal_lag" in database:
        lag.add_metric([], database["seal_lag"])
    for name, began, ended, error in database.get("jobs", []):
        if began is not None:
            started.add_metric([name], began.timestamp())
        if ended is not None:
            finished.add_metric([name], ended.timestamp())
        failing.add_metric([name], float(bool(error)))
    if queue.get("depth") is not None:
        depth.add_metric([], queue["depth"])
        oldest.add_metric([], queue["oldest"] or 0.0)
    yield from (up, keys, lag, started, finished, failing, depth, oldest)


def read_database() -> Facts:
    jobs = list(JobRun.objects.values_list("name", "last_started", "last_finished", "last_error"))
    return {
        "keys": _keys_by_state(int(time.time() // KEYS_REMEMBERED_SECONDS)),
        "seal_lag": seal_lag(),
        "jobs": jobs,
    }


def read_queue() -> Facts:
    depth, oldest = queues.state()
    return {"depth": depth, "oldest": oldest}


@lru_cache(maxsize=1)
def _keys_by_state(minute: int) -> dict[str, int]:
    """An index is read through for it, so it is asked once a minute."""
    counts = dict(Key.objects.values_list("status").annotate(Count("pk")).order_by())
    return {status.value: counts.get(status.value, 0) for status in KeyStatus}


def seal_lag() -> float:
    """Seconds since the oldest event that no checkpoint seals."""
    last = AuditCheckpoint.objects.order_by("-number").first()
    since = None if last is None or last.complete_until is None else last.complete_until - LATE
    oldest = unsealed(since).aggregate(oldest=Min("created_at"))["oldest"]
    return max(0.0, (timezone.now() - oldest).total_seconds()) if oldest is not None else 0.0
