"""Behind a real nginx with TLS: signatures over https hold, forged forwarding fields do nothing."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx2
import pytest

from tests.edge.nginx import NGINX, WHY_SKIPPED, Nginx
from tests.support.server import DataFoldServer
from tests.support.services import free_port
from tests.support.signing import Signer
from tests.support.stack import new_folder
from tests.support.wire import Caller, assert_granted, assert_refused

pytestmark = pytest.mark.one_stack

LetIn = Callable[[DataFoldServer, str], Signer]
FORGED = {
    "X-Forwarded-For": "203.0.113.66",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Port": "1",
    "X-Real-IP": "203.0.113.66",
    "Forwarded": "for=203.0.113.66;proto=http;host=evil.example",
}


@dataclass
class Site:
    """A server in production mode behind nginx."""

    server: DataFoldServer
    nginx: Nginx
    http: httpx2.Client

    def signed(self, signer: Signer, path: str, headers: dict[str, str] | None = None) -> httpx2.Response:
        signed = signer.sign("GET", self.nginx.origin + path)
        return self.http.get(path, headers={**signed.headers, **(headers or {})})

    def last_address(self) -> str:
        lines = [
            json.loads(line) for line in self.server.log.read_text().splitlines() if '"request ended"' in line
        ]
        return str(lines[-1]["address"])


@pytest.fixture(scope="module", params=["public origin", "forwarded scheme"])
def site(request: pytest.FixtureRequest, start_server: Callable[..., DataFoldServer]) -> Iterator[Site]:
    if NGINX is None:
        pytest.skip(WHY_SKIPPED)
    port = free_port()
    origins = f"https://localhost:{port}" if request.param == "public origin" else ""
    server = start_server(
        f"behind_{'origin' if origins else 'scheme'}",
        DATAFOLD_DEVELOPMENT="false",
        DATAFOLD_ENCRYPTION_KEYS="b25seS1mb3ItdGVzdHMtb25seS1mb3ItdGVzdHMtMTI=",
        DATAFOLD_TRUSTED_PROXIES="127.0.0.1/32",
        DATAFOLD_PUBLIC_ORIGINS=origins,
    )
    folder = new_folder("nginx-")
    nginx = Nginx(folder, f"127.0.0.1:{server.port}", port)
    with httpx2.Client(base_url=nginx.origin, verify=nginx.trust, trust_env=False) as http:
        yield Site(server, nginx, http)
    nginx.stop()


@pytest.fixture(scope="module")
def signer(site: Site) -> Signer:
    signer = Signer("behind-nginx")
    body = {"client_id": signer.key_id, "public_key": signer.public_hex}
    assert_granted(site.http.post("/api/v1/crypto/keys/register", json=body))
    site.server.manage("approve_key", signer.key_id)
    return signer


def test_a_signature_over_https_holds(site: Site, signer: Signer) -> None:
    assert_granted(site.signed(signer, "/api/v1/auth/me"))
    assert_granted(site.signed(signer, "/api/v1/schemas?limit=5&x=%7Ea%2F%c3%a9"))


def test_a_signature_over_http_does_not(site: Site, signer: Signer) -> None:
    signed = signer.sign("GET", site.nginx.origin.replace("https", "http") + "/api/v1/auth/me")
    assert_refused(
        site.http.get("/api/v1/auth/me", headers=signed.headers), 401, "SIGNATURE_VERIFICATION_FAILED"
    )


def test_forged_forwarding_fields_end_at_the_proxy(site: Site, signer: Signer) -> None:
    assert_granted(site.signed(signer, "/api/v1/auth/me", headers=FORGED))
    assert site.last_address() == "127.0.0.1"


def test_answers_carry_hsts_and_no_redirect_loop(site: Site) -> None:
    answer = site.http.get("/api/v1/system/status")
    assert_granted(answer)
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains; preload"
    with httpx2.Client(trust_env=False) as plain:
        redirect = plain.get(f"http://127.0.0.1:{site.nginx.http_port}/api/v1/system/status?a=%20b")
    assert redirect.status_code == 308
    assert redirect.headers["Location"] == f"{site.nginx.origin}/api/v1/system/status?a=%20b"


def test_metrics_stay_inside(site: Site) -> None:
    assert site.http.get("/metrics").status_code == 404


def test_a_foreign_host_is_not_served(site: Site, signer: Signer) -> None:
    signed = signer.sign("GET", "https://evil.example/api/v1/auth/me")
    answer = site.http.get("/api/v1/auth/me", headers={**signed.headers, "Host": "evil.example"})
    assert answer.status_code == 400


# --- Without a proxy in between --------------------------------------------------------------------------


@pytest.fixture
def unreachable() -> Iterator[int]:
    """The port of a server whose network swallows what is sent to it: its queue is full, so it stays silent."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        address = server.getsockname()
        with socket.create_connection(address), socket.socket() as second:
            second.setblocking(False)
            second.connect_ex(address)
            yield address[1]


def test_another_server_is_tried_where_the_network_to_one_is_cut(
    datafold_server: DataFoldServer, unreachable: int
) -> None:
    if NGINX is None:
        pytest.skip(WHY_SKIPPED)
    servers = f"127.0.0.1:{unreachable};\n    server 127.0.0.1:{datafold_server.port}"
    nginx = Nginx(new_folder("nginx-"), servers, free_port())
    try:
        answer = httpx2.post(
            f"{nginx.origin}/api/v1/crypto/keys/register", json={}, verify=nginx.trust, trust_env=False
        )
    finally:
        nginx.stop()
    assert answer.status_code == 422, "DataFold's own refusal, and no 504 from the proxy"


def test_forged_fields_from_a_stranger_do_nothing(datafold_server: DataFoldServer, let_in: LetIn) -> None:
    signer, caller = let_in(datafold_server, "stranger"), Caller(datafold_server.base_url)
    signed = caller.prepare(signer, "GET", "/api/v1/auth/me")
    signed.headers.update({**FORGED, "X-Forwarded-Proto": "https"})
    assert_granted(caller.send(signed))
    over_https = signer.sign("GET", datafold_server.base_url.replace("http:", "https:") + "/api/v1/auth/me")
    forged = {**over_https.headers, **FORGED, "X-Forwarded-Proto": "https"}
    answer = caller.http.get("/api/v1/auth/me", headers=forged)
    assert_refused(answer, 401, "SIGNATURE_VERIFICATION_FAILED")
    addresses = {
        json.loads(line).get("address")
        for line in datafold_server.log.read_text().splitlines()
        if line[:1] == "{"
    }
    assert "203.0.113.66" not in addresses
    caller.close()


def test_the_forwarded_field_is_never_believed(
    start_server: Callable[..., DataFoldServer], let_in: LetIn
) -> None:
    server = start_server("forwarded", DATAFOLD_TRUSTED_PROXIES="127.0.0.1/32")
    signer, caller = let_in(server, "forwarded"), Caller(server.base_url)
    signed = caller.prepare(signer, "GET", "/api/v1/auth/me")
    signed.headers["Forwarded"] = FORGED["Forwarded"]
    assert_granted(caller.send(signed))
    assert "203.0.113.66" not in server.log.read_text()
    caller.close()
