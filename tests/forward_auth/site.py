"""A site behind a proxy: the application, which knows nothing, and the requests that are sent to it."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.services import free_port
from tests.support.signing import SignedRequest
from tests.support.stack import PROJECT

HOST = "app.example.com"


def url(target: str) -> str:
    return f"http://{HOST}{target}"


@dataclass
class Answer:
    status: int
    fields: dict[str, str]
    body: str

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["error"]["code"])


@dataclass
class Site:
    """The proxy's port; `seen`: the fields of each request that got through."""

    port: int = field(default_factory=free_port)
    seen: list[dict[str, str]] = field(default_factory=list)

    def send(self, signed: SignedRequest, **forged: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        target = "/" + signed.url.split("/", 3)[3]
        fields = {
            **signed.headers,
            "Host": signed.url.split("/")[2],
            **{name.replace("_", "-"): value for name, value in forged.items()},
        }
        connection.request(signed.method, target, signed.content or None, fields)
        response = connection.getresponse()
        answer = Answer(response.status, dict(response.getheaders()), response.read().decode())
        connection.close()
        return answer


@contextmanager
def running_application(site: Site) -> Iterator[int]:
    """The application that writes into `site.seen`; gives its port."""
    application = ThreadingHTTPServer(("127.0.0.1", 0), _application(site))
    threading.Thread(target=application.serve_forever, daemon=True).start()
    yield application.server_address[1]
    application.shutdown()
    application.server_close()


@contextmanager
def running_proxy(site: Site, command: list[str], **environment: Any) -> Iterator[None]:
    """A proxy that is to listen at `site.port`."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, **environment)
    try:
        _wait_for(site.port, process)
        yield
    finally:
        process.terminate()
        process.wait(10)


def documented(proxy: str, *, datafold: int, application: int) -> str:
    """The configuration of docs/forward-auth.md with this run's ports."""
    document = (PROJECT / "docs" / "forward-auth.md").read_text()
    match = re.search(rf"<!-- {proxy}: begin -->\s*```\w+\n(.*?)```\s*<!-- {proxy}: end -->", document, re.S)
    assert match, f"docs/forward-auth.md has no {proxy}"
    text = match[1]
    for named, port in (("127.0.0.1:8000", datafold), ("127.0.0.1:9000", application)):
        assert named in text
        text = text.replace(named, f"127.0.0.1:{port}")
    return text


def _application(site: Site) -> type[BaseHTTPRequestHandler]:
    class Application(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length).decode()
            site.seen.append({**{name.lower(): value for name, value in self.headers.items()}, "body": body})
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"from the application")

        do_GET = do_POST = do_DELETE = answer

        def log_message(self, *_: Any) -> None:
            pass

    return Application


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None, "the proxy did not start"
            assert time.monotonic() < deadline, "the proxy does not answer"
            time.sleep(0.02)
        else:
            return
