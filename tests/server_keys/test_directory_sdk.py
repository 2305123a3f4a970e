"""The SDK reads the key directory of a running server, also after a rotation."""

from __future__ import annotations

import time

from datafold_sdk import ServerKeys

from tests.support.server import DataFoldServer


def test_the_directory_is_read_before_and_after_a_rotation(datafold_server: DataFoldServer) -> None:
    before = ServerKeys.fetch(datafold_server.base_url)
    datafold_server.manage("rotate_server_key")
    deadline = time.monotonic() + 10
    while (after := ServerKeys.fetch(datafold_server.base_url)).thumbprints == before.thumbprints:
        assert time.monotonic() < deadline  # a second is enough for every process
        time.sleep(0.05)
    assert set(before.thumbprints) < set(after.thumbprints), "old keys stay published"
