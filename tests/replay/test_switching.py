"""Redis is away and the database takes over: for all workers together, and no nonce counts twice."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, connections

from keys.errors import ReplayCheckUnavailable
from keys.models import ReplayMode
from keys.replay import Outcome, Spend
from keys.replay.database import DatabaseReplayStore
from keys.replay.lease import LEASE_SECONDS
from keys.replay.redis import RedisReplayStore
from keys.replay.switching import SwitchingReplayStore
from tests.replay.redis_server import Cable, RedisServer, spend_arguments

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.on_postgres]

SKEW = 1
STAY = 2.0


@pytest.fixture
def client_row(transactional_db: None) -> dict[str, Any]:
    """A registered client and its key, as `Spend` names them."""
    from accounts.models import Client
    from keys.models import Key
    from tests.support.registered import register_active

    register_active("switching-client")
    client = Client.objects.get(client_id="switching-client")
    return {
        "client_id": client.client_id,
        "epoch": None,
        "key_id": str(Key.objects.get(client=client).pk),
        "clock_skew": SKEW,
    }


@pytest.fixture
def cable(redis_server: RedisServer) -> Iterator[Cable]:
    cable = Cable(redis_server.port)
    yield cable
    cable.close()


def new_store(url: str, *, stay: float = STAY) -> SwitchingReplayStore:
    return SwitchingReplayStore(RedisReplayStore(url, timeout=1), DatabaseReplayStore(), stay=stay)


def outcome_of(store: SwitchingReplayStore, spend: Spend) -> Outcome | None:
    """What became of it; None where the store could not answer. As `keys.verification` goes about it."""
    try:
        spent = store.spend(spend)
        if spent.outcome is Outcome.UNKNOWN:
            store.recall(spend.client_id, 1)
            spent = store.spend(spend)
    except ReplayCheckUnavailable:
        return None
    return spent.outcome


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def signed(client_row: dict[str, Any], **changes: Any) -> Spend:
    return Spend(**spend_arguments(**client_row, **changes))


def test_while_redis_answers_nobody_uses_the_database(
    redis_server: RedisServer, client_row: dict[str, Any]
) -> None:
    store = new_store(redis_server.url)
    store.announce_new(client_row["client_id"], 1)
    assert outcome_of(store, signed(client_row, nonce="in-redis-1")) is Outcome.FRESH
    assert ReplayMode.objects.get().store == "redis"
    assert redis_server.client().exists("df:n:{switching-client}:in-redis-1")


def test_the_lease_is_read_once_a_second_and_not_for_each_request(
    redis_server: RedisServer, client_row: dict[str, Any], django_assert_num_queries: Any
) -> None:
    store = new_store(redis_server.url)
    store.announce_new(client_row["client_id"], 1)
    outcome_of(store, signed(client_row))
    started = time.monotonic()
    with django_assert_num_queries(0):
        for _ in range(20):
            assert outcome_of(store, signed(client_row)) is Outcome.FRESH
    assert time.monotonic() - started < LEASE_SECONDS, "too slow to tell"


def test_a_short_absence_of_redis_is_sat_out(redis_server: RedisServer, client_row: dict[str, Any]) -> None:
    store = new_store(redis_server.url, stay=600)
    redis_server.kill()
    assert [outcome_of(store, signed(client_row)) for _ in range(5)] == [None] * 5
    assert ReplayMode.objects.get().store == "redis"


def test_the_database_takes_over_and_nothing_spent_before_comes_back(
    redis_server: RedisServer, client_row: dict[str, Any]
) -> None:
    store = new_store(redis_server.url)
    store.announce_new(client_row["client_id"], 1)
    captured = signed(client_row)
    assert outcome_of(store, captured) is Outcome.FRESH
    redis_server.kill()
    wait_until(lambda: outcome_of(store, signed(client_row)) is Outcome.TOO_EARLY)
    assert _mode() == "database"
    # The refusal says when a new signature counts.
    time.sleep(store.spend(signed(client_row)).reset)
    assert outcome_of(store, signed(client_row)) is Outcome.FRESH
    assert outcome_of(store, captured) is Outcome.TOO_EARLY
    in_database = signed(client_row)
    assert outcome_of(store, in_database) is Outcome.FRESH
    assert outcome_of(store, in_database) is Outcome.REPLAYED

    redis_server.start()
    wait_until(lambda: outcome_of(store, signed(client_row)) is None or _mode() == "redis")
    wait_until(lambda: outcome_of(store, signed(client_row)) is Outcome.FRESH)
    assert _mode() == "redis"
    assert outcome_of(store, in_database) is Outcome.TOO_EARLY


def test_one_worker_without_redis_takes_all_others_along(
    redis_server: RedisServer, cable: Cable, client_row: dict[str, Any]
) -> None:
    """Split brain: A is cut off, B is not. B must leave Redis as well, before A accepts anything."""
    cut_off, connected = new_store(cable.url), new_store(redis_server.url)
    cut_off.announce_new(client_row["client_id"], 1)
    stop = threading.Event()
    captured: list[Spend] = []
    accepted: Counter[str] = Counter()
    lock = threading.Lock()

    def send(store: SwitchingReplayStore, spend: Spend) -> None:
        if outcome_of(store, spend) is Outcome.FRESH:
            with lock:
                accepted[spend.nonce] += 1
                captured.append(spend)

    def work(store: SwitchingReplayStore) -> None:
        with closed_connections():
            while not stop.is_set():
                send(store, signed(client_row))
                with lock:
                    again = captured[-30:]
                for spend in again:
                    send(store, _now(spend))

    threads = [threading.Thread(target=work, args=(store,)) for store in (cut_off, connected)]
    for thread in threads:
        thread.start()
    _wait_for_more(captured)
    cable.pull()
    wait_until(lambda: _mode() == "database")
    _wait_for_more(captured)
    cable.plug_in()
    wait_until(lambda: _mode() == "redis", seconds=30)
    _wait_for_more(captured)
    stop.set()
    for thread in threads:
        thread.join()
    assert len(accepted) > 15
    assert {nonce: count for nonce, count in accepted.items() if count > 1} == {}
    for spend in captured:
        assert outcome_of(cut_off, _now(spend)) is not Outcome.FRESH
        assert outcome_of(connected, _now(spend)) is not Outcome.FRESH


def test_a_worker_that_slept_through_the_switch_is_caught_afterwards(
    redis_server: RedisServer, client_row: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looked at its lease, was paused, and spends in Redis when the database counts already."""
    sleeper, awake = new_store(redis_server.url), new_store(redis_server.url)
    sleeper.announce_new(client_row["client_id"], 1)
    assert outcome_of(sleeper, signed(client_row)) is Outcome.FRESH
    spend_in_redis = sleeper._redis.spend

    def paused(spend: Spend) -> Any:
        awake._leases.switch(awake._leases.current(), "database", why="test")  # type: ignore[arg-type]
        time.sleep(LEASE_SECONDS + 0.1)
        return spend_in_redis(spend)

    monkeypatch.setattr(sleeper._redis, "spend", paused)
    assert outcome_of(sleeper, signed(client_row)) is Outcome.TOO_EARLY


def test_while_the_database_counts_a_decision_needs_no_redis(
    redis_server: RedisServer, client_row: dict[str, Any]
) -> None:
    store = new_store(redis_server.url)
    store._leases.switch(store._leases.current(), "database", why="test")  # type: ignore[arg-type]
    before = store._leases.current().redis_missed_at
    redis_server.kill()
    store.announce(client_row["client_id"], 2, in_flux=False)
    # Redis does not count again before the records that are older than the decision have run out.
    assert ReplayMode.objects.get().redis_missed_at > before


def test_without_its_database_a_worker_does_not_know_which_store_counts(
    redis_server: RedisServer, client_row: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = new_store(redis_server.url)
    store.announce_new(client_row["client_id"], 1)
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "NAME", "/nowhere/at/all")
    assert outcome_of(store, signed(client_row)) is None


def _wait_for_more(captured: list[Spend]) -> None:
    enough = len(captured) + 5
    wait_until(lambda: len(captured) > enough)


def _mode() -> str:
    return ReplayMode.objects.values_list("store", flat=True).get()


def _now(spend: Spend) -> Spend:
    return spend._replace(now=time.time())


@contextmanager
def closed_connections() -> Iterator[None]:
    try:
        yield
    finally:
        connections.close_all()
