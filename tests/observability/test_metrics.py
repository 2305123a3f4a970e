"""What Prometheus reads: counted over all processes, bounded in labels and in time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.server import DataFoldServer
from tests.support.signing import Signer
from tests.support.wire import Caller, assert_granted, assert_refused

ENCRYPTION_KEY = "b25seS1mb3ItdGVzdHMtb25seS1mb3ItdGVzdHMtMTI="


class Scraper:
    def __init__(self, base_url: str) -> None:
        self.http = httpx2.Client(base_url=base_url, trust_env=False, timeout=20)

    def read(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        answer = self.http.get("/metrics")
        assert answer.status_code == 200
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        return self.read().get((name, frozenset(labels.items())), 0.0)

    def total(self, name: str, **labels: str) -> float:
        wanted = set(labels.items())
        return sum(
            value for (sample, found), value in self.read().items() if sample == name and wanted <= found
        )


@pytest.fixture(scope="module")
def server(start_server: Callable[..., DataFoldServer]) -> DataFoldServer:
    return start_server("metrics", WORKERS="2", DATAFOLD_ENCRYPTION_KEYS=ENCRYPTION_KEY)


@pytest.fixture
def scraper(server: DataFoldServer) -> Scraper:
    return Scraper(server.base_url)


@pytest.fixture(scope="module")
def signer(server: DataFoldServer) -> Signer:
    signer, caller = Signer("measured"), Caller(server.base_url)
    assert_granted(caller.register(signer))
    server.manage("approve_key", signer.key_id)
    caller.close()
    return signer


@pytest.fixture
def caller(server: DataFoldServer) -> Iterator[Caller]:
    caller = Caller(server.base_url)
    yield caller
    caller.close()


def test_requests_are_counted_over_all_processes(
    server: DataFoldServer, scraper: Scraper, signer: Signer
) -> None:
    count = "datafold_requests_total"
    before, verified = scraper.total(count), scraper.total("datafold_signatures_verified_total")
    for _ in range(24):  # each on a connection of its own, so that every worker takes some
        caller = Caller(server.base_url)
        assert_granted(caller.signed(signer, "GET", "/api/v1/auth/me"))
        caller.close()
    assert scraper.total(count) - before >= 24
    assert scraper.total("datafold_signatures_verified_total") - verified == 24
    assert scraper.total(count, status="200", method="GET", route="api/v1/auth/me") >= 24
    assert scraper.total("datafold_request_duration_seconds_count", route="api/v1/auth/me") >= 24


def test_refusals_and_replays(scraper: Scraper, caller: Caller, signer: Signer) -> None:
    replays = scraper.total("datafold_replays_stopped_total")
    signed = caller.prepare(signer, "GET", "/api/v1/auth/me")
    assert_granted(caller.send(signed))
    assert_refused(caller.send(signed), 401, "NONCE_REUSED")
    assert scraper.total("datafold_replays_stopped_total") == replays + 1
    assert scraper.value("datafold_refusals_total", code="NONCE_REUSED") >= 1


def test_phases_and_caches(scraper: Scraper, caller: Caller, signer: Signer) -> None:
    for _ in range(90):  # by sample: one in sixteen of each process
        assert_granted(caller.signed(signer, "GET", "/api/v1/auth/me"))
    for phase in ("parse", "lookup", "rules", "cryptography", "replay"):
        assert scraper.value("datafold_verification_phase_seconds_count", phase=phase) >= 1
    assert scraper.value("datafold_cache_lookups_total", cache="directory", result="hit") >= 32
    assert scraper.value("datafold_cache_lookups_total", cache="memo", result="miss") >= 32


def test_state_of_keys_jobs_and_the_log(server: DataFoldServer, scraper: Scraper, signer: Signer) -> None:
    server.manage("housekeeping")
    deadline = time.monotonic() + 30  # the state is remembered for some seconds, by each worker
    while not scraper.value("datafold_job_last_success_timestamp_seconds", task="expire-keys"):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert scraper.value("datafold_state_up", part="database") == 1
    assert scraper.value("datafold_keys", status="active") >= 1
    assert scraper.value("datafold_job_failing", task="expire-keys") == 0
    assert scraper.value("datafold_audit_seal_lag_seconds") >= 0
    started = scraper.value("datafold_job_last_started_timestamp_seconds", task="heartbeat")
    assert abs(time.time() - started) < 300


def test_paths_do_not_become_labels(scraper: Scraper, caller: Caller) -> None:
    caller.http.get("/api/v1/schemas/some-very-particular-name")
    caller.http.get("/no/such/place/particular")
    caller.http.request("PROPFIND", "/api/v1/auth/me")
    text = scraper.http.get("/metrics").text
    assert "particular" not in text
    assert "PROPFIND" not in text


def test_strangers_read_nothing(start_server: Callable[..., DataFoldServer]) -> None:
    server = start_server("no_metrics", DATAFOLD_METRICS_NETWORKS="192.0.2.0/24")
    with httpx2.Client(base_url=server.base_url, trust_env=False) as http:
        assert_refused(http.get("/metrics"), 404, "NOT_FOUND")
