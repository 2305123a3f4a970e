"""A real HTTP server on a port of its own, that answers what a test tells it to and keeps what it got."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from datafold_sdk import PrivateKey
from datafold_sdk.keys import ALGORITHMS
from http_message_signatures import HTTPMessageVerifier, MappingKeyResolver, VerifyResult


@dataclass
class Received:
    """A request as it arrived."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def signed(self) -> bool:
        return "Signature" in self.headers

    def verify(self, keys: Mapping[str, PrivateKey], *, tag: str = "datafold") -> VerifyResult:
        """Verify with http-message-signatures, as a server that shares no code with the SDK would."""
        algorithm = next(iter(keys.values())).algorithm
        verifier = HTTPMessageVerifier(
            signature_algorithm=ALGORITHMS[algorithm],
            key_resolver=MappingKeyResolver(
                public_keys={name: key.public_key for name, key in keys.items()}, private_keys={}
            ),
        )
        return verifier.verify(self, expect_tag=tag, body=self.body)[0]


@dataclass
class Reply:
    status: int = 200
    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None

    def content(self) -> bytes:
        if self.body is not None:
            return self.body
        return b"" if self.json is None else json.dumps(self.json).encode()


Answer = Callable[[Received], Reply]


def refusal(status: int, code: str, *, headers: Mapping[str, str] | None = None, **details: Any) -> Reply:
    """A refusal in the server's envelope."""
    return Reply(
        status,
        {
            "success": False,
            "data": None,
            "error": {"code": code, "message": f"Refused: {code}.", "status": status, "details": details},
            "meta": {"request_id": "req-1", "timestamp": "2026-01-01T00:00:00Z", "path": "/"},
        },
        headers or {},
    )


def success(data: Any) -> Reply:
    return Reply(200, {"success": True, "data": data, "error": None, "meta": {"request_id": "req-1"}})


class Server:
    """What a test sees of a running server."""

    def __init__(self, url: str, answer: Answer) -> None:
        self.url = url
        self.answer = answer
        self.received: list[Received] = []


@contextmanager
def running(answer: Answer = lambda _: success({})) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            url = f"http://{self.headers['Host']}{self.path}"
            received = Received(self.command, url, dict(self.headers.items()), body)
            server.received.append(received)
            reply = server.answer(received)
            content = reply.content()
            self.send_response_only(reply.status)
            headers = {"Content-Type": "application/json", "Date": self.date_time_string(), **reply.headers}
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_any

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that hangs up is part of a test."""

    with Quiet(("127.0.0.1", 0), Handler) as http_server:
        server = Server(f"http://127.0.0.1:{http_server.server_port}", answer)
        thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            http_server.shutdown()
            thread.join()
