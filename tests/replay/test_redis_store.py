"""The nonce store on a real Redis: what it lets in, and what it does when Redis fails."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import pytest

from keys.errors import ReplayCheckUnavailable
from keys.replay import Outcome, Spend, Spent
from keys.replay.redis import RedisReplayStore
from tests.replay.redis_server import Cable, RedisServer, spend_arguments
from tests.support.services import free_port

STATE = "df:st:{client}"
MEMORY = "df:memory"


def spend(store: RedisReplayStore, **changes: object) -> Spent:
    return store.spend(Spend(**spend_arguments(**changes)))


def test_a_nonce_counts_once(store: RedisReplayStore) -> None:
    assert spend(store, nonce="same-nonce").outcome is Outcome.FRESH
    assert spend(store, nonce="same-nonce").outcome is Outcome.REPLAYED
    assert spend(store, nonce="other-nonce").outcome is Outcome.FRESH


def test_two_clients_may_use_the_same_nonce(store: RedisReplayStore) -> None:
    store.announce_new("other", 1)
    assert spend(store, nonce="same-nonce").outcome is Outcome.FRESH
    assert spend(store, nonce="same-nonce", client_id="other").outcome is Outcome.FRESH


def test_a_nonce_is_remembered_until_no_profile_would_take_it(
    store: RedisReplayStore, redis_server: RedisServer
) -> None:
    now = time.time()
    spend(store, nonce="nonce-1234", now=now, remember_until=now + 720)
    left = redis_server.client().pttl("df:n:{client}:nonce-1234")
    assert 720_000 <= left <= 722_000


def test_only_one_of_many_threads_spends_a_nonce(store: RedisReplayStore) -> None:
    outcomes: list[Outcome] = []
    threads = [
        threading.Thread(target=lambda: outcomes.append(spend(store, nonce="raced-nonce").outcome))
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcome.name for outcome in outcomes) == ["FRESH"] + ["REPLAYED"] * 15


def test_the_rate_is_counted_and_what_is_over_it_spends_nothing(store: RedisReplayStore) -> None:
    now = time.time() // 60 * 60  # the beginning of a minute, so that all fall into one
    common = {"now": now, "created": int(now), "remember_until": now + 720, "rate_limit": 2}
    first = spend(store, nonce="nonce-a", **common)
    assert (first.outcome, first.limit, first.remaining) == (Outcome.FRESH, 2, 1)
    assert spend(store, nonce="nonce-b", **common).remaining == 0
    assert spend(store, nonce="nonce-c", **common).outcome is Outcome.RATE_LIMITED
    assert spend(store, nonce="nonce-c", **{**common, "rate_limit": 10}).outcome is Outcome.FRESH


def test_replays_do_not_use_up_the_clients_rate(store: RedisReplayStore) -> None:
    now = time.time() // 60 * 60
    common = {"now": now, "created": int(now), "remember_until": now + 720, "rate_limit": 2}
    spend(store, nonce="captured", **common)
    for _ in range(20):
        assert spend(store, nonce="captured", **common).outcome is Outcome.REPLAYED
    assert spend(store, nonce="nonce-b", **common).outcome is Outcome.FRESH


def test_use_is_counted_by_key_and_hour(store: RedisReplayStore, redis_server: RedisServer) -> None:
    now = time.time()
    for _ in range(3):
        spend(store, now=now, created=int(now), key_id="key-1")
    assert redis_server.client().hgetall("df:use:{client}") == {f"key-1|{int(now // 3600)}".encode(): b"3"}


# --- Epochs -----------------------------------------------------------------------------------------


def test_a_record_of_another_epoch_is_stale(store: RedisReplayStore) -> None:
    store.announce("client", 2, in_flux=False)
    assert spend(store, epoch=1).outcome is Outcome.STALE
    assert spend(store, epoch=2).outcome is Outcome.FRESH
    assert store.is_current("client", 2)
    assert not store.is_current("client", 1)


def test_while_a_change_is_in_flux_no_cached_record_counts(store: RedisReplayStore) -> None:
    store.announce("client", 2, in_flux=True)
    assert spend(store, epoch=1).outcome is Outcome.STALE
    assert spend(store, epoch=2).outcome is Outcome.STALE
    assert spend(store, epoch=None).outcome is Outcome.FRESH  # just read from the database


def test_a_late_announcement_does_not_bring_an_older_epoch_back(store: RedisReplayStore) -> None:
    store.announce("client", 3, in_flux=False)
    store.announce("client", 2, in_flux=False)
    assert store.is_current("client", 3)


def test_a_mark_whose_transaction_was_rolled_back_heals_and_forgets_nothing(
    store: RedisReplayStore, redis_server: RedisServer
) -> None:
    spend(store, nonce="spent-before")
    store.announce("client", 2, in_flux=True)
    store.recall("client", 1)  # a worker that read the database meanwhile
    assert not store.is_current("client", 1), "the transaction may still be open"
    redis_server.client().hincrby(STATE, "f", -61)  # a minute passes
    store.recall("client", 1)
    assert store.is_current("client", 1)
    assert spend(store, nonce="spent-before").outcome is Outcome.REPLAYED
    assert spend(store).outcome is Outcome.FRESH


def test_an_announcement_that_redis_missed_is_made_up_for(store: RedisReplayStore) -> None:
    store.recall("client", 5)
    assert store.is_current("client", 5)
    store.recall("client", 4)  # read before somebody's change
    assert store.is_current("client", 5)


# --- Redis fails ------------------------------------------------------------------------------------


def test_memory_that_was_flushed_begins_anew(store: RedisReplayStore, redis_server: RedisServer) -> None:
    spend(store, nonce="spent-before")
    redis_server.client().flushall()
    assert spend(store, nonce="spent-before").outcome is Outcome.UNKNOWN
    store.recall("client", 1)
    refused = spend(store, nonce="spent-before")
    assert refused.outcome is Outcome.TOO_EARLY
    assert 30 <= refused.reset <= 33
    redis_server.client().hincrbyfloat(STATE, "b", -refused.reset)  # so many seconds pass
    assert spend(store, nonce="new").outcome is Outcome.FRESH


def test_who_comes_long_after_memory_began_is_served_at_once(
    store: RedisReplayStore, redis_server: RedisServer
) -> None:
    """Whatever was spent since then is known, also of a client that was silent until now."""
    redis_server.client().flushall()
    store.recall("client", 1)
    redis_server.client().hincrbyfloat(MEMORY, "b", -60)  # a minute passes
    store.recall("silent", 1)
    before = int(time.time()) - 70
    assert spend(store, client_id="silent", nonce="before", created=before).outcome is Outcome.TOO_EARLY
    assert spend(store, client_id="silent", nonce="since").outcome is Outcome.FRESH
    assert spend(store, client_id="silent", nonce="since").outcome is Outcome.REPLAYED


def test_memory_that_was_flushed_later_begins_anew_for_who_was_silent(
    store: RedisReplayStore, redis_server: RedisServer
) -> None:
    store.recall("client", 1)
    redis_server.client().hincrbyfloat(MEMORY, "b", -60)
    redis_server.client().flushall()
    store.recall("silent", 1)
    assert spend(store, client_id="silent").outcome is Outcome.TOO_EARLY


def test_nothing_spent_before_a_restart_comes_back(start_redis: Callable[..., RedisServer]) -> None:
    """Also where Redis keeps its data: the last second of it may be gone."""
    server = start_redis(keeps=True)
    store = RedisReplayStore(server.url, timeout=2)
    store.announce_new("client", 1)
    spend(store, nonce="spent-before")
    store.recall("another", 1)
    server.client().hincrbyfloat(MEMORY, "b", -60)
    time.sleep(1.1)  # until the file was synced
    server.restart()
    assert server.client().exists("df:st:{client}"), "this test is about a Redis that remembers"
    assert spend(store, nonce="never-spent").outcome is Outcome.UNKNOWN
    store.recall("client", 1)
    assert spend(store, nonce="spent-before").outcome is Outcome.TOO_EARLY
    store.recall("silent", 1)
    assert spend(store, client_id="silent").outcome is Outcome.TOO_EARLY


def test_a_store_that_cannot_answer_lets_nothing_in(
    store: RedisReplayStore, redis_server: RedisServer
) -> None:
    redis_server.stop()
    for _ in range(3):
        with pytest.raises(ReplayCheckUnavailable):
            spend(store)


def test_after_a_restart_no_thread_stumbles_over_its_dead_connection(
    store: RedisReplayStore, redis_server: RedisServer
) -> None:
    outcomes: list[str] = []
    before, after = threading.Barrier(9), threading.Barrier(9)

    def work() -> None:
        spend(store)
        before.wait(20)
        after.wait(20)
        try:
            outcomes.append(spend(store).outcome.name)
        except ReplayCheckUnavailable as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    before.wait(20)
    redis_server.restart()
    store.announce_new("client", 1)
    after.wait(20)
    for thread in threads:
        thread.join()
    assert outcomes == ["FRESH"] * 8


def test_a_silent_redis_holds_up_one_request_at_a_time(redis_server: RedisServer) -> None:
    store = RedisReplayStore(redis_server.url, timeout=0.3)
    store.announce_new("client", 1)
    with redis_server.client() as client:
        client.execute_command("CLIENT", "PAUSE", 1500)
    started = time.monotonic()
    for _ in range(20):
        with pytest.raises(ReplayCheckUnavailable):
            spend(store)
    assert time.monotonic() - started < 1.0
    deadline = time.monotonic() + 10
    while True:
        try:
            assert spend(store).outcome is Outcome.FRESH
            return
        except ReplayCheckUnavailable:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_scripts_that_were_flushed_are_sent_again(store: RedisReplayStore, redis_server: RedisServer) -> None:
    spend(store)
    redis_server.client().script_flush()
    assert spend(store).outcome is Outcome.FRESH


def test_a_redis_that_evicts_is_refused(redis_server: RedisServer) -> None:
    redis_server.client().config_set("maxmemory", "64mb")
    redis_server.client().config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(ReplayCheckUnavailable):
        RedisReplayStore(redis_server.url, timeout=2).announce_new("client", 1)


def test_a_full_redis_lets_nothing_in(store: RedisReplayStore, redis_server: RedisServer) -> None:
    redis_server.client().config_set("maxmemory", "1")
    with pytest.raises(ReplayCheckUnavailable):
        spend(store)
    assert not store.answers(), "or a fallback would come back to it"
    redis_server.client().config_set("maxmemory", "0")
    assert store.answers()
    assert spend(store).outcome is Outcome.FRESH


def test_a_redis_that_became_a_replica_is_left_for_the_primary_under_its_name(
    start_redis: Callable[..., RedisServer],
) -> None:
    demoted, primary = start_redis(), start_redis()
    name = Cable(demoted.port)
    store = RedisReplayStore(name.url, timeout=2)
    store.announce_new("client", 1)
    demoted.client().replicaof("127.0.0.1", free_port())
    with pytest.raises(ReplayCheckUnavailable):
        spend(store)
    with pytest.raises(ReplayCheckUnavailable):  # by a new connection, which is not made to a replica
        store.is_current("client", 1)
    name.lead_to(primary.port)
    assert store.answers()
    assert spend(store).outcome is Outcome.UNKNOWN
    store.recall("client", 1)
    assert spend(store, created=int(time.time()) - 60).outcome is Outcome.TOO_EARLY
    name.close()


def test_a_pulled_cable_costs_only_the_requests_in_between(redis_server: RedisServer) -> None:
    cable = Cable(redis_server.port)
    store = RedisReplayStore(cable.url, timeout=2)
    store.announce_new("client", 1)
    spend(store, nonce="spent-before")
    cable.pull()
    with pytest.raises(ReplayCheckUnavailable):
        spend(store)
    cable.plug_in()
    assert spend(store).outcome is Outcome.FRESH
    assert spend(store, nonce="spent-before").outcome is Outcome.REPLAYED
    cable.close()


def test_a_forked_process_has_its_own_connection(store: RedisReplayStore) -> None:
    spend(store)
    children = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            fresh = all(spend(store).outcome is Outcome.FRESH for _ in range(200))
            os._exit(0 if fresh else 1)
        children.append(pid)
    assert all(spend(store).outcome is Outcome.FRESH for _ in range(200))
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [0] * 4
