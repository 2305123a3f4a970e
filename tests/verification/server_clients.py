"""Decisions on a running server's clients, made by the same services as everywhere, in one process each."""

from __future__ import annotations

import json

from tests.support.server import DataFoldServer
from tests.support.signing import Signer

PRELUDE = """
import json
from accounts.audit import Actor
from accounts.clients import change_client, suspend_client, reactivate_client
from accounts.models import Client
from keys import lifecycle, registration
from keys.httpsig import load_public_key
from keys.models import Key
actor = Actor.system("tests")
def client(name): return Client.objects.get(client_id=name)
def key(name): return Key.objects.select_related("client").filter(client__client_id=name).first()
def registered(name, public_hex):
    wish = registration.Registration(public_key=load_public_key(public_hex), client_id=name)
    return registration.register(wish)
"""


def decide(server: DataFoldServer, *statements: str) -> None:
    """Run statements of Python in the server's Django, with the names of `PRELUDE`."""
    server.manage("shell", "--no-imports", "-c", PRELUDE + "\n".join(statements))


def add_clients(server: DataFoldServer, *names: str, approve: bool = True) -> dict[str, Signer]:
    """Registered clients, with an active or a pending key each."""
    signers = {name: Signer(name) for name in names}
    keys = json.dumps({name: signer.public_hex for name, signer in signers.items()})
    approval = "lifecycle.approve(k, actor=actor)" if approve else "pass"
    decide(
        server,
        f"for name, public in json.loads('{keys}').items():",
        "    k = registered(name, public)",
        f"    {approval}",
    )
    return signers
