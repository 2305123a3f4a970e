"""The nonce store: DESIGN §5 step 8, on Redis or, where there is none, on the database."""

from __future__ import annotations

from functools import lru_cache

from django.conf import settings

from keys.replay.base import Outcome, ReplayStore, Spend, Spent
from keys.replay.database import DatabaseReplayStore

__all__ = ["Outcome", "ReplayStore", "Spend", "Spent", "replay_store"]


def replay_store() -> ReplayStore:
    """The store that the settings name; one per process and settings."""
    return _store(
        settings.REDIS_URL,
        settings.REDIS_TIMEOUT_SECONDS,
        settings.DATAFOLD_REPLAY_FALLBACK,
        # Decisions made while Redis is away reach it late: no record from before may outlive the half of
        # this for which everybody must have reached Redis before it counts again.
        max(settings.DATAFOLD_REPLAY_FALLBACK_SECONDS, 2 * settings.DATAFOLD_DIRECTORY_TTL_SECONDS),
    )


@lru_cache(maxsize=8)
def _store(url: str, timeout: float, fallback: str, stay: float) -> ReplayStore:
    if not url:
        return DatabaseReplayStore()
    from keys.replay.redis import RedisReplayStore

    redis = RedisReplayStore(url, timeout=timeout)
    if fallback != "database":
        return redis
    from keys.replay.switching import SwitchingReplayStore

    return SwitchingReplayStore(redis, DatabaseReplayStore(), stay=stay)
