from __future__ import annotations

from collections.abc import Iterator

import pytest
from datafold_sdk import Credentials, DataFoldClient, PrivateKey

from tests.sdk.server import Server, running


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture
def key() -> PrivateKey:
    return PrivateKey.generate()


@pytest.fixture
def credentials(key: PrivateKey) -> Credentials:
    return Credentials("app-1", key)


@pytest.fixture
def client(server: Server, credentials: Credentials) -> Iterator[DataFoldClient]:
    with DataFoldClient(server.url) as client:
        client.configure_signing(credentials)
        yield client
