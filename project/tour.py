"""The tour: a client's first minutes, played for real against the running server, through the SDK."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from io import StringIO
from typing import Any

import httpx2
from datafold_sdk import DataFoldClient, KeyStateError, SignatureAuth, create_http_client, generate_key_pair
from django.conf import settings
from django.core.management import call_command

SCHEMA = {
    "name": "tour-orders",
    "description": "Written by the tour.",
    "fields": [
        {"name": "order_id", "type": "uuid", "required": True},
        {"name": "total", "type": "decimal", "required": True},
        {"name": "placed_at", "type": "datetime", "required": True},
        {"name": "note", "type": "string"},
    ],
}


class Tour:
    """Plays each step over HTTP and tells what really came back.

    Args:
        url: of the server, without a slash at the end.
        say: takes each line.
    """

    def __init__(self, url: str, say: Callable[[str], None]) -> None:
        self._url = url
        self._say = say
        self._steps = 0

    def play(self) -> None:
        self._say("")
        self._say("The tour: a client's first minutes, played once, against this server.")
        with create_http_client(self._url) as client:
            client_id, private_key = self._register(client)
            profile = settings.DATAFOLD_DEFAULT_PROFILE
            client.configure_signing({"key_id": client_id, "private_key": private_key, "profile": profile})
            self._wait_for_an_operator(client, client_id)
            self._write_and_read(client)
            self._replay(client)
        self._say(
            f"The tour is over. {client_id} and its schema are there to look at; its private key is forgotten."
        )

    def _register(self, client: DataFoldClient) -> tuple[str, bytes]:
        private_key, public_key = generate_key_pair()
        self._step(f"The client makes a key pair. Its public key: {public_key.hex()[:16]}…")
        answer = client.register(
            private_key=private_key, client_id=f"tour-{secrets.token_hex(3)}", key_name="The tour's key"
        )
        data = answer["data"]
        self._step(
            "It registers the public key, signed by the key itself.",
            "POST /api/v1/crypto/keys/register",
            f"client_id {data['client_id']}, status {data['status']}, thumbprint {data['thumbprint'][:8]}…",
        )
        return data["client_id"], private_key

    def _wait_for_an_operator(self, client: DataFoldClient, client_id: str) -> None:
        """Under the policy `open` the key is active already, and there is nothing to wait for."""
        try:
            client.me()
        except KeyStateError as refusal:
            self._step(
                "It signs a request before anybody decided.",
                "GET /api/v1/auth/me",
                f"{refusal.status} {refusal.code}: {refusal.message}",
            )
            output = StringIO()
            call_command("approve_key", client_id, reason="for the tour", stdout=output)
            self._step(
                "An operator approves the key.",
                f"manage.py approve_key {client_id}",
                output.getvalue().strip(),
            )
        me = client.me()["data"]
        self._step(
            "It signs again, and is known.",
            "GET /api/v1/auth/me",
            f"client_id {me['client_id']}, {me['signature']['algorithm']} over "
            f"{' '.join(me['signature']['components'])}",
        )

    def _write_and_read(self, client: DataFoldClient) -> None:
        written = client.post("/api/v1/schemas", json=SCHEMA)
        self._step(
            "It writes a schema.",
            "POST /api/v1/schemas",
            f"{written['data']['name']} {written['data']['version']}, created by {written['meta']['created_by']}",
        )
        read: dict[str, Any] = client.get(f"/api/v1/schemas/{SCHEMA['name']}")["data"]
        self._step(
            "It reads the schema back.",
            f"GET /api/v1/schemas/{SCHEMA['name']}",
            f"{len(read['fields'])} fields: {', '.join(field['name'] for field in read['fields'])}",
        )

    def _replay(self, client: DataFoldClient) -> None:
        """Two times the same bytes, as somebody would send them who had listened in."""
        assert client.credentials is not None  # noqa: S101  for the type checker
        request = httpx2.Request("GET", f"{self._url}/api/v1/auth/me")
        signed = next(SignatureAuth(client.credentials).sync_auth_flow(request))
        with httpx2.Client(trust_env=False) as http:
            first, second = http.send(signed), http.send(signed)
        error = second.json()["error"]
        self._step(
            "Somebody sends one signed request twice.",
            "GET /api/v1/auth/me",
            f"first {first.status_code}, then {second.status_code} {error['code']}: {error['message']}",
        )

    def _step(self, what: str, call: str = "", answer: str = "") -> None:
        self._steps += 1
        self._say(f"  {self._steps}. {what}")
        if call:
            self._say(f"     {call}")
        if answer:
            self._say(f"     → {answer}")
