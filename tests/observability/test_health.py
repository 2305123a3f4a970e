"""Health: what each call says, to whom, and that it answers in time when a part hangs or is gone."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
import redis

from tests.support import services
from tests.support.server import DataFoldServer
from tests.support.signing import Signer
from tests.support.stack import Stack, current_stack, new_folder
from tests.support.wire import assert_granted, assert_refused, raw_connection

# Three, and as much again for a machine that runs other tests beside; what hangs would hang for minutes.
BOUND_SECONDS = 6.0
POSTGRES_ONLY = pytest.mark.skipif(
    current_stack() is not Stack.POSTGRES, reason="needs PostgreSQL and Redis: DATAFOLD_TEST_STACK=postgres"
)


def get(server: DataFoldServer, path: str, **headers: str) -> tuple[httpx2.Response, float]:
    started = time.perf_counter()
    with httpx2.Client(base_url=server.base_url, trust_env=False, timeout=20) as http:
        answer = http.get(path, headers=headers)
    return answer, time.perf_counter() - started


def wait_for_ready(server: DataFoldServer, status: int) -> httpx2.Response:
    """/health/ready, once it answers with `status`."""
    deadline = time.monotonic() + 60
    while (answer := get(server, "/health/ready")[0]).status_code != status:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return answer


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/health", "/health/", "/health/detailed"])
def test_each_call_answers(datafold_server: DataFoldServer, path: str) -> None:
    answer, seconds = get(datafold_server, path)
    assert_granted(answer)
    assert seconds < BOUND_SECONDS


def test_the_report_for_people_on_call(datafold_server: DataFoldServer) -> None:
    report = assert_granted(get(datafold_server, "/health/detailed")[0])["data"]
    assert report["application"]["version"]
    assert report["application"]["uptime_seconds"] > 0
    assert report["system"]["memory_usage_mb"] > 10
    assert 0 < report["system"]["disk_usage_percent"] <= 100
    assert len(report["system"]["load_average"]) == 3
    services = report["services"]
    assert services["migrations"]["status"] == "healthy"
    assert abs(services["database"]["clock_offset_ms"]) < 2000
    assert "beat" in services
    if current_stack() is Stack.POSTGRES:
        assert abs(services["redis"]["clock_offset_ms"]) < 2000
        assert services["broker"]["queued"] >= 0
        assert services["workers"]["status"] == "unhealthy"  # none runs here
    assert report["configuration"]["datafold_auth_required"] is True


def test_strangers_read_no_figures(start_server: Callable[..., DataFoldServer]) -> None:
    server = start_server("strangers", DATAFOLD_METRICS_NETWORKS="192.0.2.0/24")
    report = assert_granted(get(server, "/health/detailed")[0])["data"]
    assert set(report) == {"application", "services"}
    assert set(report["application"]) == {"name", "version", "status"}
    assert all(set(facts) == {"status"} for facts in report["services"].values())


def test_not_ready_while_migrations_are_missing(start_server: Callable[..., DataFoldServer]) -> None:
    server = start_server("unmigrated")
    server.manage("migrate", "keys", "0004", "--fake", "--verbosity=0")
    deadline = time.monotonic() + 60  # a complete plan is remembered for half a minute
    while True:
        answer, _ = get(server, "/health/ready")
        if answer.status_code == 503:
            break
        assert time.monotonic() < deadline
        time.sleep(0.5)
    error = assert_refused(answer, 503, "SERVICE_UNAVAILABLE")
    assert "manage.py migrate" in error["details"]["parts"]["migrations"]["error"]
    assert int(answer.headers["Retry-After"]) > 0
    assert_granted(get(server, "/health/live")[0])


# --- Parts that hang or are gone: with servers of their own, so that no other test waits for them ---------


class OwnServices:
    """A PostgreSQL and a Redis that only this module uses."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.found = services.running_services(run)

    def environment(self) -> dict[str, str]:
        return {
            "DATABASE_URL": services.create_database(self.run, "health"),
            "REDIS_URL": services.take_redis_database(self.run),
        }

    @contextmanager
    def paused(self, part: str) -> Iterator[None]:
        pid = self.found.postgres_pid if part == "database" else self.found.redis_pid
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        for process in processes:
            process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                process.send_signal(signal.SIGCONT)


@pytest.fixture(scope="module")
def own() -> Iterator[OwnServices]:
    run = new_folder("health-services-")
    Path(run).chmod(0o711)
    yield OwnServices(run)
    services.stop_services(run)


@pytest.fixture(scope="module")
def fragile(own: OwnServices, start_server: Callable[..., DataFoldServer]) -> DataFoldServer:
    return start_server("fragile", **own.environment())


def wait_until_named(server: DataFoldServer, part: str) -> None:
    """The report is a few seconds old at most."""
    deadline = time.monotonic() + 2 * BOUND_SECONDS
    while assert_granted(get(server, "/health/detailed")[0])["data"]["services"][part]["status"] == "healthy":
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_report_is_made_once_for_whoever_asks_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    from project.health import parts

    asked: list[list[str]] = []

    class Slow:
        def ask(self, names: list[str]) -> dict[str, Any]:
            asked.append(names)
            return {name: {"status": "healthy"} for name in names}

    monkeypatch.setattr(parts, "probes", Slow)
    report = parts.Report()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: report.read(), range(40)))
    assert len(asked) == 1
    assert all(answer == answers[0] for answer in answers)
    monkeypatch.setattr(parts, "REPORT_SECONDS", 0.0)
    assert parts.Report().read() == answers[0]
    assert len(asked) == 2


@contextmanager
def every_thread_busy(server: DataFoldServer) -> Iterator[None]:
    """More registrations than the server has threads; what is away holds all of them up."""
    with ExitStack() as stack:
        for number in range(24):
            body = json.dumps({"client_id": f"busy-{number}", "public_key": Signer().public_hex})
            connection = stack.enter_context(raw_connection(server.port))
            connection.send(
                "POST /api/v1/crypto/keys/register HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
            )
        yield


@POSTGRES_ONLY
@pytest.mark.parametrize("part", ["database", "redis"])
def test_a_part_that_hangs_delays_nothing_and_is_named(
    own: OwnServices, fragile: DataFoldServer, part: str
) -> None:
    assert_granted(get(fragile, "/health/ready")[0])
    with own.paused(part), every_thread_busy(fragile):
        for _ in range(2):
            answer, seconds = get(fragile, "/health/ready")
            assert seconds < BOUND_SECONDS
            error = assert_refused(answer, 503, "SERVICE_UNAVAILABLE")
            assert error["details"]["parts"][part]["status"] == "unhealthy"
            report, seconds = get(fragile, "/health/detailed")
            assert seconds < BOUND_SECONDS
            assert_granted(report)
            assert get(fragile, "/health/live")[1] < BOUND_SECONDS
        wait_until_named(fragile, part)
        scrape, seconds = get(fragile, "/metrics")
        assert scrape.status_code == 200
        assert seconds < BOUND_SECONDS
    wait_for_ready(fragile, 200)


@POSTGRES_ONLY
@pytest.mark.parametrize("limit", ["maxmemory", "min-replicas-to-write"])
def test_a_redis_that_takes_no_writes_is_not_well(fragile: DataFoldServer, settings: Any, limit: str) -> None:
    from project.parts import check_redis

    settings.REDIS_URL = fragile.environment["REDIS_URL"]
    assert check_redis().state == "healthy"
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.config_set(limit, "1")
        try:
            part = check_redis()
            answer = wait_for_ready(fragile, 503)
        finally:
            client.config_set(limit, "0")
    assert part.state == "away"
    assert "takes no writes" in part.note
    facts = assert_refused(answer, 503, "SERVICE_UNAVAILABLE")["details"]["parts"]["redis"]
    assert "takes no writes" in facts["error"]
    wait_for_ready(fragile, 200)


@POSTGRES_ONLY
def test_a_worker_and_its_age_are_seen(own: OwnServices, fragile: DataFoldServer) -> None:
    log = (Path(fragile.environment["DATA_DIR"]) / "worker.log").open("wb")
    command = [
        *(sys.executable, "-m", "celery", "-A", "project.celery", "worker"),
        *("-c", "1", "-l", "warning"),
    ]
    worker = subprocess.Popen(command, env=fragile.environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while True:
            parts = assert_granted(get(fragile, "/health/detailed")[0])["data"]["services"]
            if parts["workers"]["status"] == "healthy":
                break
            assert time.monotonic() < deadline, parts
            time.sleep(0.5)
        (facts,) = parts["workers"]["workers"].values()
        assert facts["uptime_seconds"] >= 0
    finally:
        worker.terminate()
        worker.wait(timeout=20)
