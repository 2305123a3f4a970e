"""Two servers whose Redis is killed and comes back empty: the database takes over for both, nothing counts twice."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from tests.replay.redis_server import RedisServer
from tests.support.server import DataFoldServer
from tests.support.signing import SignedRequest, Signer
from tests.verification.server_clients import add_clients, decide
from tests.verification.wire import send

pytestmark = pytest.mark.one_stack

SKEW = 5  # of the strict profile
PROFILE = "change_client(client('load'), actor=actor, changes={'profile': 'strict'}, reason='t')"


@pytest.fixture
def servers(
    start_server: Callable[..., DataFoldServer], redis_server: RedisServer
) -> tuple[DataFoldServer, DataFoldServer]:
    """One worker process each, on one database and one Redis, and one public address for both."""
    common = {
        "WORKERS": "1",
        "REDIS_URL": redis_server.url,
        "DATAFOLD_REPLAY_FALLBACK": "database",
        "DATAFOLD_REPLAY_FALLBACK_SECONDS": "2",
        "DATAFOLD_DIRECTORY_TTL_SECONDS": "2",
        "DATAFOLD_PUBLIC_ORIGINS": "http://api.example.com",
        "ALLOWED_HOSTS": "127.0.0.1,api.example.com",
    }
    first = start_server("fallback-a", **common)
    return first, start_server("fallback-b", **common, DATABASE_URL=first.environment["DATABASE_URL"])


@dataclass
class Load:
    """Clients that sign, and an attacker that sends what was let in again, to either server.

    `accepted`: how often each signature was let in.
    """

    servers: tuple[DataFoldServer, DataFoldServer]
    signer: Signer
    accepted: Counter[str] = field(default_factory=Counter)
    captured: list[SignedRequest] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Load:
        self._threads = [threading.Thread(target=self._run) for _ in range(3)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def send(self, signed: SignedRequest) -> bool:
        answer = send(random.choice(self.servers), signed, host="api.example.com")
        with self._lock:
            if answer.status == 200:
                self.accepted[signed.headers["Signature"]] += 1
                self.captured.append(signed)
            else:
                self.refused[answer.code] += 1
        return answer.status == 200

    def wait_for_more(self, seconds: float = 30) -> float:
        """Until five more have been let in; returns how long that took."""
        began, enough = time.monotonic(), len(self.accepted) + 5
        while len(self.accepted) < enough:
            assert time.monotonic() - began < seconds, f"nothing is let in: {self.refused}"
            time.sleep(0.02)
        return time.monotonic() - began

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            # As far ahead as is allowed, so that a signature counts soon after a switch.
            ahead = datetime.now(UTC) + timedelta(seconds=random.choice((0, SKEW - 1)))
            self.send(
                self.signer.sign(
                    "GET",
                    "http://api.example.com/api/v1/auth/me",
                    covered=("@method", "@target-uri", "@authority"),
                    created=ahead,
                )
            )
            with self._lock:
                again = random.sample(self.captured, min(2, len(self.captured)))
            for signed in again:
                self.send(signed)


def ready(server: DataFoldServer) -> int:
    return httpx2.get(f"{server.base_url}/health/ready", trust_env=False).status_code


def test_no_replay_passes_either_server_while_redis_is_away_and_after(
    servers: tuple[DataFoldServer, DataFoldServer],
    redis_server: RedisServer,
    record_property: Callable[[str, object], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    signer = add_clients(servers[0], "load")["load"]
    decide(servers[0], PROFILE)
    with Load(servers, signer) as load:
        load.wait_for_more()
        redis_server.kill()
        refused = load.refused["REPLAY_CHECK_UNAVAILABLE"]
        without_redis = load.wait_for_more()
        assert load.refused["REPLAY_CHECK_UNAVAILABLE"] > refused, "nobody noticed that Redis was away"
        assert [ready(server) for server in servers] == [200, 200]
        redis_server.start()
        began = time.monotonic()
        while not redis_server.client().keys("df:n:*"):
            assert time.monotonic() - began < 30, "Redis does not count again"
            time.sleep(0.05)
        back = time.monotonic() - began
        load.wait_for_more()
    captured = {signed.headers["Signature"]: signed for signed in load.captured}
    assert not any(load.send(signed) for signed in list(captured.values())[-50:])
    assert {signature: count for signature, count in load.accepted.items() if count > 1} == {}
    assert set(load.refused) <= {"REPLAY_CHECK_UNAVAILABLE", "NONCE_REUSED"}
    record_property("seconds_until_the_database_counts", without_redis)
    with capsys.disabled():
        print(
            f"\n  {len(captured)} accepted, 0 of {sum(load.refused.values())} replays; let in again "
            f"{without_redis:.1f} s after Redis was gone, Redis counted {back:.1f} s after it was back"
        )
