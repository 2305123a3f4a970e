"""A server whose clock is wrong: it may refuse too much, but it opens no door to a replay."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from keys.jobs import JOBS
from keys.models import ReplayMode, SpentNonce
from keys.replay import Outcome, Spend, replay_store
from keys.replay.database import DatabaseReplayStore
from keys.replay.lease import Leases
from keys.replay.redis import RedisReplayStore
from tests.replay.redis_server import RedisServer, spend_arguments
from tests.support.client import ORIGIN, SignedClient
from tests.support.registered import register_active
from tests.support.signing import SignedRequest

FRESHEST = 720  # seconds after `created` for which some profile takes a signature


@contextmanager
def clock_off_by(**delta: float) -> Iterator[None]:
    """This process's clock; those of Redis and of the database stay right."""
    with time_machine.travel(datetime.now(UTC) + timedelta(**delta), tick=True):
        yield


def spend(store: Any, **changes: Any) -> Outcome:
    outcome: Outcome = store.spend(Spend(**spend_arguments(**changes))).outcome
    return outcome


# --- Redis --------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.one_stack
@pytest.mark.parametrize("behind", [20, 60, 3600], ids=lambda seconds: f"{seconds} s behind")
def test_memory_that_a_slow_server_begins_anew_lets_no_replay_in(
    redis_server: RedisServer, settings: Any, behind: int
) -> None:
    """Redis lost its memory, and the first server to find out has a clock that is behind."""
    settings.REDIS_URL = redis_server.url
    client = SignedClient(register_active("slow-clock"))
    captured: SignedRequest = client.signer.sign("GET", f"{ORIGIN}/api/v1/auth/me")
    assert client.send(captured).status_code == 200
    redis_server.restart()
    fresh = client.signer.sign("GET", f"{ORIGIN}/api/v1/auth/me")
    with clock_off_by(seconds=-behind):
        assert client.send(fresh).status_code in (401, 503)
    assert client.send(captured).status_code == 503


@pytest.mark.django_db
@pytest.mark.one_stack
def test_a_fast_server_does_not_keep_clients_out_after_redis_lost_its_memory(
    redis_server: RedisServer, settings: Any
) -> None:
    settings.REDIS_URL = redis_server.url
    client = SignedClient(register_active("fast-clock", profile="strict"))
    redis_server.restart()
    with clock_off_by(seconds=3600):
        client.call("GET", "/api/v1/auth/me", covered=("@method", "@target-uri", "@authority"))
    refused = client.call("GET", "/api/v1/auth/me", covered=("@method", "@target-uri", "@authority"))
    assert refused.status_code == 503
    assert int(refused["Retry-After"]) < 10


def test_what_redis_has_forgotten_is_not_fresh_to_a_slow_server(store: RedisReplayStore) -> None:
    now = time.time()
    old = {"created": int(now) - FRESHEST - 1, "remember_until": now - 1, "clock_skew": 120}
    assert spend(store, now=now - 60, **old) is Outcome.CLOCK_WRONG


def test_a_fast_server_takes_no_signature_from_the_future(store: RedisReplayStore) -> None:
    """Once the right time has come, Redis may have begun anew without knowing of it."""
    ahead = time.time() + 60
    signed = {"created": int(ahead), "remember_until": ahead + FRESHEST, "now": ahead}
    assert spend(store, **signed) is Outcome.CLOCK_WRONG
    assert spend(store, **{**signed, "created": int(time.time()) + 30}) is Outcome.FRESH


@pytest.mark.django_db
@pytest.mark.one_stack
def test_the_caller_is_told_that_it_is_not_their_fault(redis_server: RedisServer, settings: Any) -> None:
    settings.REDIS_URL = redis_server.url
    client = SignedClient(register_active("told"))
    with clock_off_by(minutes=5):
        refused = client.call("GET", "/api/v1/auth/me")
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "REPLAY_CHECK_UNAVAILABLE"
    assert "clock" in refused.json()["error"]["message"]


# --- The database -------------------------------------------------------------------------------------


@pytest.fixture
def database_store(db: None) -> DatabaseReplayStore:
    register_active("client")
    return DatabaseReplayStore()


@pytest.fixture
def signed(database_store: DatabaseReplayStore) -> dict[str, Any]:
    from keys.models import Key

    return {"key_id": str(Key.objects.get().pk), "epoch": None}


def test_what_the_database_may_have_forgotten_is_not_fresh_to_a_slow_server(
    database_store: DatabaseReplayStore, signed: dict[str, Any]
) -> None:
    now = time.time()
    old = {"created": int(now) - FRESHEST - 1, "remember_until": now - 1, "clock_skew": 120}
    assert spend(database_store, now=now - 60, **old, **signed) is Outcome.CLOCK_WRONG


def test_a_fast_worker_does_not_forget_too_early(
    database_store: DatabaseReplayStore, signed: dict[str, Any]
) -> None:
    captured = Spend(**spend_arguments(**signed))
    assert database_store.spend(captured).outcome is Outcome.FRESH
    with clock_off_by(hours=1):
        JOBS["purge-replay-memory"].run(datetime.now(UTC))
    assert SpentNonce.objects.count() == 1
    assert database_store.spend(captured).outcome is Outcome.REPLAYED


def test_a_switch_that_a_slow_server_makes_begins_by_the_databases_clock(transactional_db: None) -> None:
    """Else the new store's memory would seem to reach back to before the switch."""
    before = time.time()
    with clock_off_by(minutes=-5):
        leases = Leases()
        leases.switch(leases.current(), "database", why="test")  # type: ignore[arg-type]
        assert leases.current().begin >= before
    assert ReplayMode.objects.get().since == pytest.approx(time.time(), abs=10)


@pytest.mark.django_db(transaction=True)
@pytest.mark.one_stack
def test_with_the_fallback_a_fast_server_takes_no_signature_from_the_future(
    redis_server: RedisServer, settings: Any
) -> None:
    """What it takes in one store, the other store must be able to tell from what came after the switch."""
    settings.REDIS_URL, settings.DATAFOLD_REPLAY_FALLBACK = redis_server.url, "database"
    client = SignedClient(register_active("fallback-clock"))
    store = replay_store()
    assert client.call("GET", "/api/v1/auth/me").status_code == 200
    leases = store._leases  # type: ignore[attr-defined]
    leases.switch(leases.current(), "database", why="test")
    leases.current()
    ReplayMode.objects.update(since=time.time() - 60)
    with clock_off_by(minutes=5):
        refused = client.call("GET", "/api/v1/auth/me")
        assert refused.status_code == 503
    assert "clock" in refused.json()["error"]["message"]
