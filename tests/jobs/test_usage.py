"""Usage counters on a real Redis, whatever database the test runs on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.db import connection
from django.utils import timezone

from keys import jobs
from keys.jobs import usage
from keys.models import Key, KeyUsage, UsageFlush
from tests.jobs.keys import active
from tests.support.services import take_redis_database
from tests.support.stack import run_folder

pytestmark = pytest.mark.django_db

HOUR = int(time.time() // 3600)


@pytest.fixture(scope="module")
def redis_url() -> str:
    return take_redis_database(run_folder())


@pytest.fixture
def store(redis_url: str, settings: Any) -> Iterator[redis.Redis]:
    settings.REDIS_URL = redis_url
    with redis.Redis.from_url(redis_url, decode_responses=True) as connected:
        connected.flushdb()
        yield connected


def count(store: redis.Redis, key: Key, requests: int, *, hour: int = HOUR) -> None:
    """As the script of the nonce store does it."""
    store.hincrby(f"df:use:{{{key.client.client_id}}}", f"{key.pk}|{hour}", requests)


def counted(key: Key) -> int:
    key.refresh_from_db()
    hours = sum(KeyUsage.objects.filter(key=key).values_list("count", flat=True))
    assert hours == key.usage_count
    return key.usage_count


def test_counts_arrive_by_key_and_hour(store: redis.Redis) -> None:
    one, other = active("a-1"), active("a-2")
    count(store, one, 5)
    count(store, one, 3, hour=HOUR - 2)
    count(store, other, 1)
    assert jobs.run("flush-usage") == {"requests": 9}
    assert (counted(one), counted(other)) == (8, 1)
    assert KeyUsage.objects.filter(key=one).count() == 2
    assert one.last_used_at is not None
    assert abs(one.last_used_at - timezone.now()) < timedelta(minutes=1)
    assert jobs.run("flush-usage") == {"requests": 0}
    count(store, one, 2)
    jobs.run("flush-usage")
    assert counted(one) == 10
    assert [*store.scan_iter("df:use:*"), *store.scan_iter("df:flush:*")] == []


def test_real_requests_are_counted(store: redis.Redis) -> None:
    from tests.support.client import SignedClient
    from tests.support.registered import register_active

    signed = SignedClient(register_active("a-9"))
    for _ in range(3):
        assert signed.call("GET", "/api/v1/auth/me").status_code == 200
    jobs.run("flush-usage")
    key = Key.objects.get(client__client_id="a-9")
    assert counted(key) == 3
    assert key.last_used_at is not None


def test_a_worker_killed_after_the_rename_loses_nothing(store: redis.Redis, monkeypatch: Any) -> None:
    key = active("a-1")
    count(store, key, 5)
    with monkeypatch.context() as patch:
        patch.setattr(usage, "_write", _killed)
        with pytest.raises(KeyboardInterrupt):
            jobs.run("flush-usage")
    assert counted(key) == 0
    count(store, key, 2)
    assert jobs.run("flush-usage") == {"requests": 7}
    assert counted(key) == 7


def test_a_worker_killed_before_the_delete_counts_nothing_twice(store: redis.Redis, monkeypatch: Any) -> None:
    key = active("a-1")
    count(store, key, 5)
    with monkeypatch.context() as patch:
        patch.setattr(redis.Redis, "delete", _killed)
        with pytest.raises(KeyboardInterrupt):
            jobs.run("flush-usage")
    assert counted(key) == 5
    assert len(list(store.scan_iter("df:flush:*"))) == 1
    assert jobs.run("flush-usage") == {"requests": 0}
    assert counted(key) == 5
    assert list(store.scan_iter("df:flush:*")) == []


def test_what_is_not_ours_is_left_out(store: redis.Redis) -> None:
    key = active("a-1")
    store.hset("df:use:{a-1}", mapping={"nonsense": 3, f"{key.pk}|x": 4, f"{'0' * 32}|{HOUR}": 5})
    count(store, key, 1)
    jobs.run("flush-usage")
    assert counted(key) == 1


def test_hours_of_days_without_a_beat_keep_their_place(store: redis.Redis) -> None:
    key = active("a-1")
    count(store, key, 5, hour=HOUR - 72)
    jobs.run("flush-usage")
    assert counted(key) == 5
    assert key.last_used_at is not None
    assert timezone.now() - key.last_used_at > timedelta(days=2)


def test_old_names_are_forgotten(store: redis.Redis) -> None:
    key = active("a-1")
    count(store, key, 1)
    jobs.run("flush-usage")
    assert UsageFlush.objects.count() == 1
    UsageFlush.objects.update(flushed_at=timezone.now() - timedelta(days=2))
    jobs.run("flush-usage")
    assert UsageFlush.objects.count() == 0


def test_redis_away_is_on_record(settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    with pytest.raises(redis.ConnectionError):
        jobs.run("flush-usage")


@pytest.mark.django_db(transaction=True)
def test_workers_and_requests_at_once_count_everything_once(store: redis.Redis) -> None:
    keys = [active(f"a-{number}") for number in range(3)]
    stop, errors = threading.Event(), []

    def flush() -> None:
        try:
            while not stop.is_set():
                jobs.run("flush-usage")
        except Exception as error:  # noqa: BLE001
            errors.append(error)
        finally:
            connection.close()

    workers = [threading.Thread(target=flush) for _ in range(3)]
    for worker in workers:
        worker.start()
    for _ in range(400):
        for key in keys:
            count(store, key, 1)
    stop.set()
    for worker in workers:
        worker.join()
    assert errors == []
    jobs.run("flush-usage")
    assert [counted(key) for key in keys] == [400, 400, 400]


def _killed(*args: Any, **kwargs: Any) -> Any:
    raise KeyboardInterrupt
