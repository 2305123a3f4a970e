"""Celery's queues on the broker: how much waits in them, and for how long."""

from __future__ import annotations

import time

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

DELIVERIES = "deliveries"
FILES = "files"
_SECONDS = 1.5


def names() -> list[str]:
    return list(settings.CELERY_TASK_QUEUES)


def state(*queues: str) -> tuple[int | None, float | None]:
    """(tasks that wait, seconds that the oldest has waited); None where the broker cannot tell.

    Args:
        queues: these; by default all.

    Raises:
        redis.RedisError, OSError: the broker does not answer.
    """
    url = settings.CELERY_BROKER_URL
    if not url.startswith(("redis://", "rediss://", "unix://")):
        return None, None
    with redis_client(url) as client:
        read = client.pipeline(transaction=False)
        for name in queues or names():
            read.llen(name)
            read.lindex(name, -1)
        found = read.execute()
    from project.telemetry import published_at

    published = [at for oldest in found[1::2] if oldest is not None and (at := published_at(oldest))]
    return sum(found[::2]), round(max(0.0, time.time() - min(published)), 1) if published else None


def redis_client(url: str) -> redis.Redis:
    """A client that waits for seconds at most and tries once."""
    return redis.Redis.from_url(
        url, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS, retry=Retry(NoBackoff(), 0)
    )
