"""What the tests at the edge share: a server, a session of an operator, a client that is in already."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import pytest

from tests.support.server import DataFoldServer
from tests.support.signing import Signer
from tests.support.wire import Caller

MAKE_SESSION = """
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from accounts.models import User
user = User.objects.filter(username="edge-operator").first() or User.objects.create_superuser("edge-operator")
session = SessionStore()
session[SESSION_KEY] = str(user.pk)
session[BACKEND_SESSION_KEY] = "allauth.account.auth_backends.AuthenticationBackend"
session[HASH_SESSION_KEY] = user.get_session_auth_hash()
session.create()
print("session=" + session.session_key)
"""


@pytest.fixture(scope="session")
def operator_session(datafold_server: DataFoldServer) -> str:
    """The session key of an operator, signed in on the shared server."""
    printed = datafold_server.manage("shell", "-c", MAKE_SESSION).stdout
    return printed.rpartition("session=")[2].strip()


@pytest.fixture
def caller(datafold_server: DataFoldServer) -> Iterator[Caller]:
    caller = Caller(datafold_server.base_url)
    yield caller
    caller.close()


@pytest.fixture(scope="session")
def let_in() -> Callable[[DataFoldServer, str], Signer]:
    """Register a client on a server and approve its key."""

    def let_in(server: DataFoldServer, prefix: str) -> Signer:
        signer = Signer(f"{prefix}-{secrets.token_hex(4)}")
        caller = Caller(server.base_url)
        assert caller.register(signer).status_code == 200
        caller.close()
        server.manage("approve_key", signer.key_id)
        return signer

    return let_in
