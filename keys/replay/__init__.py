"""The nonce store: DESIGN §5 step 8, on Redis or, where there is none, on the database."""

from __future__ import annotations

from functools import lru_cache

from django.conf import settings

from keys.replay.base import Outcome, ReplayStore, Spend, Spent
from keys.replay.database import DatabaseReplayStore

__all__ = ["Outcome", "ReplayStore", "Spend", "Spent", "replay_store"]


def replay_store() -> ReplayStore:
    """The store that the settings name; one per process and URL."""
    if settings.REDIS_URL:
        return _redis_store(settings.REDIS_URL, settings.REDIS_TIMEOUT_SECONDS)
    return DatabaseReplayStore()


@lru_cache(maxsize=4)
def _redis_store(url: str, timeout: float) -> ReplayStore:
    from keys.replay.redis import RedisReplayStore

    return RedisReplayStore(url, timeout=timeout)
