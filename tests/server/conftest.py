"""Servers of the worker's own tests: one with short limits, one with few connections."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.server import DataFoldServer


@pytest.fixture(scope="session")
def impatient(start_shared_server: Callable[..., DataFoldServer]) -> DataFoldServer:
    """One process of two threads, a second to send a request and between two, three for all of it."""
    return start_shared_server(
        "impatient",
        WORKERS="1",
        THREADS="2",
        KEEPALIVE="1",
        DATAFOLD_READ_TIMEOUT_SECONDS="1",
        DATAFOLD_REQUEST_TIMEOUT_SECONDS="3",
    )
