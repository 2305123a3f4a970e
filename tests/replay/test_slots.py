"""On a Redis Cluster a script may touch one slot only: everything about one client lies in one."""

from __future__ import annotations

import pytest
from redis.crc import key_slot

from keys.errors import ReplayCheckUnavailable
from keys.replay import Outcome, Spend
from keys.replay.redis import RedisReplayStore
from keys.replay.scripts import MEMORY_KEY
from tests.replay.redis_server import RedisServer, spend_arguments

pytestmark = pytest.mark.one_stack


def spend(store: RedisReplayStore, nonce: str) -> Outcome:
    return store.spend(Spend(**spend_arguments(nonce=nonce))).outcome


def test_all_keys_of_a_script_are_in_the_clients_slot(
    redis_server: RedisServer, store: RedisReplayStore
) -> None:
    client = redis_server.client()
    with client.monitor() as monitor:
        assert spend(store, "nonce-of-a-slot") is Outcome.FRESH
        store.recall("client", 1)
        store.announce("client", 2, in_flux=True)
        assert not store.is_current("client", 1)
        store.announce_new("other", 1)
        client.echo("the end")
        scripts = []
        for each in iter(lambda: monitor.next_command()["command"], "ECHO the end"):
            words = each.split(" ")
            if words[0] == "EVALSHA":
                keys = words[3 : 3 + int(words[2])]
                scripts.append([key for key in keys if key != MEMORY_KEY])  # a primary's, and no client's
    assert [len(keys) for keys in scripts] == [4, 1, 1, 1, 1]
    assert all(key_slot(key.encode()) == key_slot(b"client") for keys in scripts[:4] for key in keys)
    assert key_slot(scripts[4][0].encode()) == key_slot(b"other") != key_slot(b"client")


def test_after_an_error_the_next_answer_is_that_of_the_next_question(
    redis_server: RedisServer, store: RedisReplayStore
) -> None:
    """Two answers come for one question; one that was left over would be taken for the next one's."""
    client = redis_server.client()
    assert spend(store, "before-the-error") is Outcome.FRESH
    client.config_set("maxmemory", 1)
    with pytest.raises(ReplayCheckUnavailable):
        spend(store, "in-the-error")
    client.config_set("maxmemory", 0)
    assert spend(store, "before-the-error") is Outcome.REPLAYED
    assert spend(store, "after-the-error") is Outcome.FRESH
    client.script_flush()
    assert spend(store, "before-the-error") is Outcome.REPLAYED
    client.set("df:{schemas}:epoch", "7")
    spent = store.spend(Spend(**spend_arguments(nonce="tells-the-epoch")))
    assert spent.outcome is Outcome.FRESH
    assert spent.registry_epoch.endswith("-7")
    client.delete("df:{schemas}:epoch")
    client.lpush("df:{schemas}:epoch", "no number")
    with pytest.raises(ReplayCheckUnavailable):
        spend(store, "with-a-list")
    client.delete("df:{schemas}:epoch")
    assert spend(store, "after-the-list") is Outcome.FRESH
