"""The server that the proxies of these tests ask, and a client that it knows."""

from __future__ import annotations

from collections.abc import Callable

import httpx2
import pytest

from tests.forward_auth.site import HOST
from tests.support.server import DataFoldServer
from tests.support.signing import Signer


@pytest.fixture(scope="session")
def forward_auth_server(start_shared_server: Callable[..., DataFoldServer]) -> DataFoldServer:
    return start_shared_server(
        "forward-auth",
        DATAFOLD_TRUSTED_PROXIES="127.0.0.1/32",
        DATAFOLD_FORWARD_AUTH_HOSTS=HOST,
        DATAFOLD_REGISTRATION_POLICY="open",
    )


@pytest.fixture(scope="session")
def fleet_client(forward_auth_server: DataFoldServer) -> Signer:
    signer = Signer("fleet-client")
    wish = {"client_id": signer.key_id, "public_key": signer.public_hex}
    answer = httpx2.post(
        f"{forward_auth_server.base_url}/api/v1/crypto/keys/register", json=wish, trust_env=False
    )
    assert answer.status_code == 200, answer.text
    return signer
