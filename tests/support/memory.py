"""What this process remembers between requests, forgotten between tests."""

from __future__ import annotations

import os


def forget() -> None:
    """Caches, limits and Redis: none of it is true of the next test's database."""
    from django.core.cache import cache

    from keys import refusals, server_keys
    from keys.api.throttles import shared_limit
    from keys.directory import directory
    from keys.failures import refused_signatures
    from keys.verification import unknown_keyids

    directory().clear()
    refusals.forget()
    server_keys.clear_cache()
    for remembered in (shared_limit, refused_signatures, unknown_keyids):
        remembered.cache_clear()
    cache.clear()
    if url := os.environ["REDIS_URL"]:
        import redis

        with redis.Redis.from_url(url) as connection:
            connection.flushdb()
