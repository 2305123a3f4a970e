"""The registry's epoch: how every worker learns that something it has rendered may have changed.

A version is immutable, yet whether it may be served is not: a schema can be blocked, deleted or
approved, and its author's key may be revoked as compromised. On Redis one counter stands for all
schemas; it is counted up after every commit. A signed read learns it in the round trip that spends
its nonce (`keys.replay`), any other read asks for it. Without Redis the process counts for itself,
and what other processes changed is seen when the cached answer has expired
(`DATAFOLD_SCHEMA_CACHE_SECONDS`).
"""

from __future__ import annotations

import itertools
import logging
from functools import lru_cache

import redis
from django.conf import settings
from django.db import transaction

from keys.errors import ReplayCheckUnavailable
from keys.replay.connection import RedisConnections
from keys.replay.scripts import REGISTRY_EPOCH, REGISTRY_EPOCH_KEY

log = logging.getLogger(__name__)

_local = itertools.count(1)
_local_epoch = 0


def advance_epoch() -> None:
    """Count the epoch up once the caller's transaction has committed."""
    transaction.on_commit(_announce)


def current_epoch() -> str:
    """The registry's epoch; "" if it cannot be known now, so that nothing cached may be believed."""
    if not settings.REDIS_URL:
        return f"local-{_local_epoch}"
    connections = _scripts(settings.REDIS_URL, settings.REDIS_TIMEOUT_SECONDS)
    try:
        epoch: bytes = connections.run(REGISTRY_EPOCH, keys=(REGISTRY_EPOCH_KEY,))
    except ReplayCheckUnavailable:
        return ""
    return epoch.decode()


def _announce() -> None:
    global _local_epoch
    _local_epoch = next(_local)
    if not settings.REDIS_URL:
        return
    try:
        connection().incr(REGISTRY_EPOCH_KEY)
    except redis.RedisError:
        log.error("schema epoch not announced: Redis is unavailable; cached versions live until they expire")


def connection() -> redis.Redis:
    return _connection(settings.REDIS_URL, settings.REDIS_TIMEOUT_SECONDS)


@lru_cache(maxsize=4)
def _connection(url: str, timeout: float) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=timeout)


@lru_cache(maxsize=4)
def _scripts(url: str, timeout: float) -> RedisConnections:
    return RedisConnections(url, timeout=timeout)
