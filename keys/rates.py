"""Counting requests in fixed windows, in Redis or, where there is none, in the database."""

from __future__ import annotations

from functools import lru_cache
from typing import cast

import redis
from django.conf import settings

from keys.replay.database import count_in_window
from keys.replay.redis import unavailable


def count_request(subject: str, *, period: int, now: float) -> int:
    """One more request of `subject` in the current window of `period` seconds; returns the count.

    Raises:
        ReplayCheckUnavailable: the store is away. A limit that cannot be counted is not a pass.
    """
    window = int(now // period) * period
    if not settings.REDIS_URL:
        return count_in_window(subject[:100], window)
    key = f"df:a:{subject}:{window}"
    try:
        with _connection(settings.REDIS_URL, settings.REDIS_TIMEOUT_SECONDS).pipeline(
            transaction=True
        ) as pipe:
            pipe.incr(key)
            pipe.expire(key, period + 1)
            return cast(int, pipe.execute()[0])
    except (redis.RedisError, OSError) as error:
        raise unavailable(error) from error


@lru_cache(maxsize=4)
def _connection(url: str, timeout: float) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=timeout)
