"""Counting requests in fixed windows, in Redis or, where there is none, in the database."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import cast

import redis
from django.conf import settings
from django.db.models import F, QuerySet
from redis.backoff import NoBackoff
from redis.retry import Retry

from keys.models import RateCounter
from keys.replay.database import count_in_window
from keys.replay.redis import unavailable
from project.ratelimit import Quota

_REMEMBERED = 10_000


def count_request(subject: str, *, period: int, now: float) -> int:
    """One more request of `subject` in the current window of `period` seconds; returns the count.

    Raises:
        ReplayCheckUnavailable: the store is away. A limit that cannot be counted is not a pass.
    """
    window = _window(period, now)
    if not settings.REDIS_URL:
        return count_in_window(subject[:100], window)
    with _redis() as connection, connection.pipeline(transaction=True) as pipe:
        key = _redis_key(subject, window)
        pipe.incr(key)
        pipe.expire(key, period + 1)
        return cast(int, pipe.execute()[0])


def give_back(subject: str, *, period: int, now: float) -> None:
    """Undo one `count_request` of the same subject, period and `now`.

    Raises:
        ReplayCheckUnavailable
    """
    window = _window(period, now)
    if not settings.REDIS_URL:
        _counters(subject, window).filter(count__gt=0).update(count=F("count") - 1)
        return
    with _redis() as connection, connection.pipeline(transaction=True) as pipe:
        key = _redis_key(subject, window)
        pipe.decr(key)
        pipe.expire(key, period + 1)
        pipe.execute()


def counted(subject: str, *, period: int, now: float) -> int:
    """How many were counted in the current window.

    Raises:
        ReplayCheckUnavailable
    """
    window = _window(period, now)
    if not settings.REDIS_URL:
        return _counters(subject, window).values_list("count", flat=True).first() or 0
    with _redis() as connection:
        return int(cast("bytes | None", connection.get(_redis_key(subject, window))) or 0)


def forget_count(subject: str, *, period: int, now: float) -> None:
    """Begin the current window anew.

    Raises:
        ReplayCheckUnavailable
    """
    window = _window(period, now)
    if not settings.REDIS_URL:
        _counters(subject, window).delete()
        return
    with _redis() as connection:
        connection.delete(_redis_key(subject, window))


class SharedLimit:
    """A limit that holds across processes, and costs nothing more for who is over it already.

    Requests are counted in the shared store. A process that was told there that somebody is over the
    limit remembers it until the window ends, so a flood is refused without a round trip.

    Args:
        policy: its name, for the RateLimit fields.
    """

    def __init__(self, policy: str) -> None:
        self.policy = policy
        self._over: OrderedDict[str, float] = OrderedDict()

    def count(self, subject: str, rate: tuple[int, int], now: float) -> Quota:
        """Count one more; `remaining` of the answer is below 0 where it is over the limit.

        Raises:
            ReplayCheckUnavailable
        """
        limit, period = rate
        if not self.is_over(subject, now):
            count = count_request(f"{self.policy}:{subject}", period=period, now=now)
            if count <= limit:
                return Quota(self.policy, limit, period, limit - count, seconds_left(period, now))
            self._remember(subject, (now // period + 1) * period)
        return Quota(self.policy, limit, period, -1, seconds_left(period, now))

    def is_over(self, subject: str, now: float) -> bool:
        """Whether this process knows that the subject is over its limit."""
        return bool(self._over) and self._over.get(subject, 0.0) > now

    def _remember(self, subject: str, until: float) -> None:
        self._over[subject] = until
        while len(self._over) > _REMEMBERED:
            try:
                self._over.popitem(last=False)
            except KeyError:
                break


def seconds_left(period: int, now: float) -> int:
    """Whole seconds until the running window has ended, at least 1."""
    return max(1, math.ceil(period - now % period))


def _window(period: int, now: float) -> int:
    return int(now // period) * period


def _counters(subject: str, window: int) -> QuerySet[RateCounter]:
    return RateCounter.objects.filter(subject=subject[:100], window=window)


def _redis_key(subject: str, window: int) -> str:
    return f"df:a:{subject}:{window}"


@contextmanager
def _redis() -> Iterator[redis.Redis]:
    try:
        yield _connection(settings.REDIS_URL, settings.REDIS_TIMEOUT_SECONDS)
    except (redis.RedisError, OSError) as error:
        raise unavailable(error) from error


@lru_cache(maxsize=4)
def _connection(url: str, timeout: float) -> redis.Redis:
    return redis.Redis.from_url(
        url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0)
    )
