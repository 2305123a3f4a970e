"""Requests to a running server as they stand on the wire, and clients that are registered there."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any

from tests.support.server import DataFoldServer
from tests.support.signing import SignedRequest, Signer


@dataclass(frozen=True)
class Answer:
    status: int
    fields: dict[str, str]
    body: Any

    @property
    def code(self) -> str:
        """The error's code, "" where there is none."""
        return str((self.body.get("error") or {}).get("code", ""))

    @property
    def details(self) -> dict[str, Any]:
        found: dict[str, Any] = self.body["error"]["details"]
        return found


def send(
    server: DataFoldServer,
    signed: SignedRequest,
    *,
    target: str | None = None,
    host: str | None = None,
    **extra: str,
) -> Answer:
    """Send the request over a connection of its own.

    Args:
        target, host: what to send instead of what the URL says.
        extra: more header fields, "_" for "-".
    """
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    fields = {**signed.headers, **{name.replace("_", "-"): value for name, value in extra.items()}}
    connection.putrequest(
        signed.method, target or "/" + signed.url.split("/", 3)[3], skip_host=True, skip_accept_encoding=True
    )
    connection.putheader("Host", host or signed.url.split("/")[2])
    for name, value in fields.items():
        connection.putheader(name, value)
    if signed.content:
        connection.putheader("Content-Length", str(len(signed.content)))
    connection.endheaders(signed.content or None)
    response = connection.getresponse()
    answer = Answer(response.status, dict(response.getheaders()), json.loads(response.read() or b"{}"))
    connection.close()
    return answer


def register(server: DataFoldServer, signer: Signer, *, approve: bool = True) -> Signer:
    """Register the signer's key under its `key_id`; an operator approves it on the command line."""
    wish = {"client_id": signer.key_id, "public_key": signer.public_hex}
    answer = send(
        server,
        SignedRequest(
            "POST",
            f"{server.base_url}/api/v1/crypto/keys/register",
            {"Content-Type": "application/json"},
            json.dumps(wish).encode(),
        ),
    )
    assert answer.status == 200, answer.body
    if approve and answer.body["data"]["status"] == "pending":
        server.manage("approve_key", answer.body["data"]["registration_id"])
    return signer


def me(server: DataFoldServer, signer: Signer, **signing: Any) -> SignedRequest:
    """A signed call that any client may make."""
    return signer.sign("GET", f"{server.base_url}/api/v1/auth/me", **signing)
