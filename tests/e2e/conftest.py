"""What the end-to-end tests share: a caller of the running server, and clients that are in already."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import pytest

from tests.support.server import DataFoldServer
from tests.support.signing import Signer
from tests.support.wire import Caller


@pytest.fixture
def caller(datafold_server: DataFoldServer) -> Iterator[Caller]:
    caller = Caller(datafold_server.base_url)
    yield caller
    caller.close()


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Names that no other test on the shared server uses."""
    return lambda prefix: f"{prefix}-{secrets.token_hex(4)}"


@pytest.fixture(scope="session")
def active_signer(datafold_server: DataFoldServer) -> Signer:
    """One approved client for all tests that only need to be let in."""
    signer = Signer(f"active-{secrets.token_hex(4)}")
    caller = Caller(datafold_server.base_url)
    assert caller.register(signer).status_code == 200
    caller.close()
    datafold_server.manage("approve_key", signer.key_id)
    return signer
