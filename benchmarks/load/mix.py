"""The requests of the load, ready to be sent: reads and writes that are signed, registrations, refusals."""

from __future__ import annotations

import hashlib
import json
import random
import secrets
import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, NamedTuple

from nacl.signing import SigningKey

SHARES = {"read": 0.80, "write": 0.08, "registration": 0.04, "refusal": 0.08}
FIELDS = [{"name": f"field_{number}", "type": "string", "required": True} for number in range(10)]
REGISTER = "/api/v1/crypto/keys/register"
SCHEMAS = "/api/v1/schemas"
BATCH = 500


class Planned(NamedTuple):
    """One request: what it is, its bytes, and the status that it must be answered with."""

    kind: str
    data: bytes
    status: int


@dataclass(frozen=True)
class Site:
    """What a signer has to know of the server.

    Attributes:
        authority: "127.0.0.1:8000", of the origin that is signed for. scheme: of that origin.
        seeds: the private key of each client, by client_id. schemas: names of schemas that can be read.
    """

    authority: str
    seeds: dict[str, bytes]
    schemas: list[str]
    scheme: str = "http"


class Signing:
    """Renders signed requests. Quick rather than general: tests and SDK sign with a library."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._keys = [(client_id, SigningKey(seed)) for client_id, seed in site.seeds.items()]
        self._stranger = SigningKey.generate()

    def read(self) -> Planned:
        path = f"{SCHEMAS}/{random.choice(self.site.schemas)}/versions/1"
        return Planned("read", self.signed("GET", path), 200)

    def write(self, name: str = "") -> Planned:
        """A new schema."""
        body = {"name": name or f"load-{secrets.token_hex(8)}", "fields": FIELDS}
        return Planned("write", self.signed("POST", SCHEMAS, body), 201)

    def registration(self) -> Planned:
        return self.registration_of(f"load-{secrets.token_hex(8)}", SigningKey.generate())

    def registration_of(self, client_id: str, key: SigningKey) -> Planned:
        body = json.dumps({"client_id": client_id, "public_key": key.verify_key.encode().hex()}).encode()
        return Planned("registration", self._render("POST", REGISTER, body), 200)

    def refusal(self) -> Planned:
        path = f"{SCHEMAS}/{random.choice(self.site.schemas)}/versions/1"
        match random.randrange(3):
            case 0:
                return Planned("refusal", self._render("GET", path), 401)
            case 1:
                return Planned("refusal", self.signed("GET", path, age=100_000), 401)
            case _:
                return self.wrong()

    def wrong(self) -> Planned:
        """Signed by a key that is not the client's."""
        path = f"{SCHEMAS}/{random.choice(self.site.schemas)}/versions/1"
        return Planned("wrong signature", self.signed("GET", path, key=self._stranger), 401)

    def signed(
        self, method: str, path: str, body: Any = None, *, age: int = 0, key: SigningKey | None = None
    ) -> bytes:
        """RFC 9421 with Ed25519, over what the standard profile requires."""
        client_id, own = random.choice(self._keys)
        target = f"{self.site.scheme}://{self.site.authority}{path}"
        lines = [f'"@method": {method}', f'"@target-uri": {target}']
        covered, fields, content = '"@method" "@target-uri"', [], b""
        if body is not None:
            content = json.dumps(body).encode()
            digest = f"sha-256=:{b64encode(hashlib.sha256(content).digest()).decode()}:"
            lines += ['"content-type": application/json', f'"content-digest": {digest}']
            fields.append(f"Content-Digest: {digest}")
            covered += ' "content-type" "content-digest"'
        created, nonce = int(time.time()) - age, secrets.token_urlsafe(18)
        parameters = f'({covered});created={created};keyid="{client_id}";nonce="{nonce}";tag="datafold"'
        lines.append(f'"@signature-params": {parameters}')
        signature = b64encode((key or own).sign("\n".join(lines).encode()).signature).decode()
        fields += [f"Signature-Input: sig={parameters}", f"Signature: sig=:{signature}:"]
        return self._render(method, path, content, fields)

    def _render(self, method: str, path: str, content: bytes = b"", fields: list[str] | None = None) -> bytes:
        head = [f"{method} {path} HTTP/1.1", f"Host: {self.site.authority}", *(fields or [])]
        if content:
            head += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
        return "\r\n".join(head).encode() + b"\r\n\r\n" + content


_signing: Signing | None = None


def _enter(site: Site) -> None:
    global _signing
    _signing = Signing(site)


def _batch(kinds: list[str]) -> list[Planned]:
    assert _signing is not None
    random.seed(secrets.randbits(64))
    return [getattr(_signing, kind)() for kind in kinds]


class Presigner:
    """Signs in processes of its own, so that whoever sends does nothing but send."""

    def __init__(self, site: Site, *, processes: int = 2) -> None:
        self._pool = ProcessPoolExecutor(
            processes, mp_context=get_context("spawn"), initializer=_enter, initargs=(site,)
        )

    def start(self, count: int, shares: dict[str, float] = SHARES) -> list[Future[list[Planned]]]:
        """Begin to sign `count` requests; each future is a batch of them."""
        kinds = random.choices(list(shares), list(shares.values()), k=count)
        return [
            self._pool.submit(_batch, kinds[start : start + BATCH]) for start in range(0, len(kinds), BATCH)
        ]

    def sign(self, count: int, shares: dict[str, float] = SHARES) -> list[Planned]:
        return list(self.collect(self.start(count, shares)))

    @staticmethod
    def collect(batches: list[Future[list[Planned]]]) -> Iterator[Planned]:
        for batch in batches:
            yield from batch.result()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
