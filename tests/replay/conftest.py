from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from keys.replay.redis import RedisReplayStore
from tests.replay.redis_server import RedisServer


@pytest.fixture
def start_redis(tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    servers: list[RedisServer] = []

    def start(*, keeps: bool = False) -> RedisServer:
        folder = tmp_path / f"redis{len(servers)}"
        folder.mkdir()
        servers.append(RedisServer(folder, keeps=keeps))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def redis_server(start_redis: Callable[..., RedisServer]) -> RedisServer:
    return start_redis()


@pytest.fixture
def store(redis_server: RedisServer) -> RedisReplayStore:
    """A store that knows the client "client", at epoch 1, from its beginning."""
    store = RedisReplayStore(redis_server.url, timeout=2)
    store.announce_new("client", 1)
    return store
