"""A real nginx, configured as docs/forward-auth.md says, in front of an application that knows nothing."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import DataFoldServer
from tests.support.services import free_port
from tests.support.signing import SignedRequest, Signer
from tests.support.stack import PROJECT, new_folder

NGINX = shutil.which("nginx") or ("/usr/sbin/nginx" if Path("/usr/sbin/nginx").exists() else None)
pytestmark = [
    pytest.mark.one_stack,
    pytest.mark.skipif(NGINX is None, reason="no nginx on this machine: install the distribution's package"),
]
HOST = "app.example.com"


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
    """nginx on a port, with the application behind it; `seen`: the fields of each request that got through."""

    port: int
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


@pytest.fixture(scope="module")
def server(start_server: Callable[..., DataFoldServer]) -> DataFoldServer:
    return start_server(
        "nginx",
        DATAFOLD_TRUSTED_PROXIES="127.0.0.1/32",
        DATAFOLD_FORWARD_AUTH_HOSTS=HOST,
        DATAFOLD_REGISTRATION_POLICY="open",
    )


@pytest.fixture(scope="module")
def site(server: DataFoldServer) -> Iterator[Site]:
    port = free_port()
    site = Site(port)
    application = ThreadingHTTPServer(("127.0.0.1", 0), _application(site))
    threading.Thread(target=application.serve_forever, daemon=True).start()
    folder = new_folder("nginx-")
    (folder / "nginx.conf").write_text(
        _configuration(folder, port, datafold=server.port, application=application.server_address[1])
    )
    process = subprocess.Popen([str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf")])
    _wait_for(port, process)
    yield site
    process.terminate()
    process.wait(10)
    application.shutdown()


@pytest.fixture(scope="module")
def signer(server: DataFoldServer) -> Signer:
    signer = Signer("nginx-client")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    wish = {"client_id": signer.key_id, "public_key": signer.public_hex}
    connection.request(
        "POST", "/api/v1/crypto/keys/register", json.dumps(wish), {"Content-Type": "application/json"}
    )
    response = connection.getresponse()
    assert response.status == 200, response.read()
    return signer


def url(target: str) -> str:
    return f"http://{HOST}{target}"


def test_a_signed_request_reaches_the_application_which_learns_who_signed(site: Site, signer: Signer) -> None:
    answer = site.send(signer.sign("GET", url("/orders/a%2Fb//7?full=1&x=%2f")))
    assert (answer.status, answer.body) == (200, "from the application")
    seen = site.seen[-1]
    assert seen["x-datafold-client-id"] == "nginx-client"
    assert len(seen["x-datafold-key"]) == 43
    assert "schemas:read" in seen["x-datafold-scopes"]
    assert seen["x-datafold-profile"] == "standard"
    assert seen["x-datafold-body"] == "none"


def test_a_signed_body_reaches_the_application_as_declared(site: Site, signer: Signer) -> None:
    assert site.send(signer.sign("POST", url("/orders"), json_body={"a": 1})).status == 200
    assert site.seen[-1]["x-datafold-body"] == "declared"
    assert site.seen[-1]["body"] == '{"a": 1}'


def test_what_the_caller_says_of_itself_is_replaced(site: Site, signer: Signer) -> None:
    answer = site.send(
        signer.sign("GET", url("/orders")),
        X_DataFold_Client_Id="somebody-else",
        X_DataFold_Scopes="everything",
        X_DataFold_Key="forged",
        X_DataFold_Profile="forged",
        X_DataFold_Body="verified",
    )
    assert answer.status == 200
    seen = site.seen[-1]
    assert seen["x-datafold-client-id"] == "nginx-client"
    assert "forged" not in json.dumps(seen)
    assert "everything" not in json.dumps(seen)
    assert seen["x-datafold-body"] == "none"


def test_an_unsigned_request_stays_outside_and_is_told_what_to_sign(site: Site) -> None:
    before = len(site.seen)
    answer = site.send(SignedRequest("GET", url("/orders"), {"X-DataFold-Client-Id": "nginx-client"}))
    assert answer.status == 401
    assert answer.code == "SIGNATURE_MISSING"
    assert answer.fields["WWW-Authenticate"] == "Signature"
    assert '"@target-uri"' in answer.fields["Accept-Signature"]
    assert answer.fields["Content-Type"] == "application/json"
    assert len(site.seen) == before


def test_a_replay_stays_outside(site: Site, signer: Signer) -> None:
    signed = signer.sign("GET", url("/orders"))
    assert site.send(signed).status == 200
    before = len(site.seen)
    answer = site.send(signed)
    assert (answer.status, answer.code) == (401, "NONCE_REUSED")
    assert len(site.seen) == before


@pytest.mark.parametrize("tampering", ["target", "query", "method", "field"])
def test_what_was_tampered_with_stays_outside(site: Site, signer: Signer, tampering: str) -> None:
    signed = signer.sign(
        "GET", url("/orders?a=1"), headers={"X-Amount": "1"}, covered=("@method", "@target-uri", "x-amount")
    )
    if tampering == "target":
        signed.url = url("/admin?a=1")
    elif tampering == "query":
        signed.url = url("/orders?a=2")
    elif tampering == "method":
        signed.method = "DELETE"
    else:
        signed.headers["X-Amount"] = "1000"
    before = len(site.seen)
    answer = site.send(signed)
    assert (answer.status, answer.code) == (401, "SIGNATURE_VERIFICATION_FAILED")
    assert json.loads(answer.body)["error"]["details"]["lines"]
    assert len(site.seen) == before


def test_a_body_added_to_a_signed_get_stays_outside(site: Site, signer: Signer) -> None:
    signed = signer.sign("GET", url("/orders"))
    signed.content = b"added"
    assert site.send(signed).code == "COMPONENT_NOT_COVERED"


def test_other_statuses_reach_the_caller_through_nginx(site: Site) -> None:
    answer = site.send(SignedRequest("GET", url("/"), {"Signature": "?", "Signature-Input": "?"}))
    assert (answer.status, answer.code) == (400, "SIGNATURE_MALFORMED")


def test_another_host_is_not_judged(site: Site, signer: Signer) -> None:
    answer = site.send(signer.sign("GET", "http://elsewhere.example.org/orders"))
    assert (answer.status, answer.code) == (403, "FORWARDED_HOST_NOT_ALLOWED")


@pytest.mark.parametrize(
    "forged",
    [
        {"X_Original_URI": "/public", "X_Original_Method": "GET"},
        {"X_Forwarded_Uri": "/public", "X_Forwarded_Method": "GET"},
        {"X_Forwarded_Host": "elsewhere.example.org", "X_Forwarded_Proto": "https"},
        {"X_Original_Content_Length": "0"},
    ],
)
def test_forwarding_fields_of_the_caller_change_nothing(
    site: Site, signer: Signer, forged: dict[str, str]
) -> None:
    assert site.send(signer.sign("GET", url("/orders")), **forged).status == 200
    moved = signer.sign("GET", url("/public"))
    moved.url = url("/admin")
    assert site.send(moved, **forged).status == 401


def test_the_question_cannot_be_asked_through_nginx(site: Site, signer: Signer) -> None:
    assert site.send(signer.sign("GET", url("/_datafold"))).status == 404


def test_forged_forwarding_fields_sent_to_datafold_itself_are_refused(
    start_server: Callable[..., DataFoldServer],
) -> None:
    """A server that trusts a proxy elsewhere does not believe the caller next door."""
    server = start_server("direct", DATAFOLD_TRUSTED_PROXIES="10.9.8.7/32", DATAFOLD_FORWARD_AUTH_HOSTS=HOST)
    site = Site(server.port)
    signed = Signer("anybody").sign("GET", url("/api/v1/authorize"))
    for forged in (
        {"X_Original_URI": "/x", "X_Original_Method": "GET"},
        {"X_Forwarded_Uri": "/x", "X_Forwarded_Method": "GET", "X_Forwarded_For": "10.9.8.7"},
    ):
        answer = site.send(signed, X_Forwarded_Host=HOST, X_Forwarded_Proto="http", **forged)
        assert (answer.status, answer.code) == (403, "PROXY_NOT_TRUSTED")


# --- The two servers ----------------------------------------------------------------------------------


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


def _configuration(folder: Path, port: int, *, datafold: int, application: int) -> str:
    """The documented locations, with this run's ports, in the least that nginx needs around them."""
    document = (PROJECT / "docs" / "forward-auth.md").read_text()
    match = re.search(
        r"<!-- nginx.conf: begin -->\s*```nginx\n(.*?)```\s*<!-- nginx.conf: end -->", document, re.S
    )
    assert match, "docs/forward-auth.md has no nginx configuration"
    locations = match[1].replace("127.0.0.1:8000", f"127.0.0.1:{datafold}")
    locations = locations.replace("127.0.0.1:9000", f"127.0.0.1:{application}")
    paths = "\n".join(
        f"{name}_temp_path {folder / name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""
daemon off;
{"user root;" if os.geteuid() == 0 else ""}
worker_processes 1;
pid {folder / "nginx.pid"};
error_log {folder / "error.log"};
events {{ worker_connections 64; }}
http {{
    access_log off;
    {paths}
    server {{
        listen 127.0.0.1:{port};
        server_name _;
        {locations}
    }}
}}
"""


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None, "nginx did not start"
            assert time.monotonic() < deadline, "nginx does not answer"
            time.sleep(0.02)
        else:
            return
