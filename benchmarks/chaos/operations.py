"""What a client asks for: reads, schemas and their versions, files to validate, registrations."""

from __future__ import annotations

import json
import random
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.signing import Signer

ID = {"name": "id", "type": "integer", "required": True}
KINDS = ("create", "version", "validate", "register", "list", "read", "me", "revoke", "replay")
"""All that a run must have had; "replay": a request sent again."""

VERSIONS = 6
SMALL, LARGE = 500, 150_000
INVALID_EVERY = 100


@dataclass(frozen=True, slots=True)
class Call:
    """A request before it is signed. `facts`: what it is about, for the record."""

    kind: str
    method: str
    path: str
    body: bytes | None = None
    content_type: str = "application/json"
    signed: bool = True
    facts: dict[str, Any] = field(default_factory=dict)


class Customer:
    """One client: what it asks for next, and what it has learnt from the answers."""

    def __init__(self, client_id: str, dice: random.Random) -> None:
        self.client_id = client_id
        self._dice = dice
        self._schema = ""
        self._number = 0
        self._count = 0

    def next_call(self) -> Call:
        roll = self._dice.random()
        if not self._schema or roll < 0.06:
            return self._create()
        if roll < 0.16:
            return self._add_version() if self._number < VERSIONS else self._create()
        if roll < 0.18:
            return self._validate()
        if roll < 0.22:
            return self._register()
        if roll < 0.30:
            return Call("list", "GET", "/api/v1/schemas?limit=5")
        if roll < 0.65:
            return Call("read", "GET", f"/api/v1/schemas/{self._schema}")
        return Call("me", "GET", "/api/v1/auth/me")

    def learn(self, call: Call, status: int, data: Mapping[str, Any]) -> dict[str, Any]:
        """Remember what was acknowledged; what the record shall keep of it.

        After an answer that leaves open whether a version was written, the schema is let alone.
        """
        if call.kind not in ("create", "version"):
            ids = {"register": "registration_id", "validate": "id"}
            return {"id": data[ids[call.kind]]} if call.kind in ids and 200 <= status < 300 else {}
        if not 200 <= status < 300:
            self._schema = "" if call.kind == "version" else self._schema
            return {}
        self._schema, self._number = call.facts["schema"], int(data["number"])
        return {"number": self._number, "fingerprint": data["fingerprint"]}

    def _create(self) -> Call:
        self._count += 1
        name = f"{self.client_id}-{self._count}-{secrets.token_hex(3)}"
        body = {"name": name, "fields": _fields(1)}
        return Call("create", "POST", "/api/v1/schemas", _json(body), facts={"schema": name})

    def _add_version(self) -> Call:
        path = f"/api/v1/schemas/{self._schema}/versions"
        body = _json({"fields": _fields(self._number + 1)})
        return Call("version", "POST", path, body, facts={"schema": self._schema})

    def _validate(self) -> Call:
        count = LARGE if self._dice.random() < 0.2 else SMALL
        path = f"/api/v1/schemas/{self._schema}/versions/1/validate-file"
        facts = {"records": count, "invalid": count // INVALID_EVERY}
        return Call("validate", "POST", path, _file(count), "application/x-ndjson", facts=facts)

    def _register(self) -> Call:
        newcomer = Signer(f"new-{secrets.token_hex(6)}")
        body = _json({"client_id": newcomer.key_id, "public_key": newcomer.public_hex})
        return Call("register", "POST", "/api/v1/crypto/keys/register", body, signed=False)


def leave(client_id: str) -> Call:
    """A client revokes its own key."""
    path = f"/api/v1/crypto/keys/revoke/{client_id}"
    return Call("revoke", "DELETE", path, _json({"reason": "cessationOfOperation"}))


def _fields(count: int) -> list[dict[str, Any]]:
    return [ID, *({"name": f"field_{number}", "type": "string"} for number in range(1, count))]


_files: dict[int, bytes] = {}


def _file(count: int) -> bytes:
    """NDJSON of so many records, of which one in INVALID_EVERY is not valid."""
    if count not in _files:
        lines = (
            '{"id": "none"}' if number % INVALID_EVERY == 0 else f'{{"id": {number}}}'
            for number in range(count)
        )
        _files[count] = "\n".join(lines).encode()
    return _files[count]


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body).encode()
