"""A real nginx, configured as docs/forward-auth.md says, in front of an application that knows nothing."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.forward_auth.site import Site, documented, running_application, running_proxy, url
from tests.support.server import DataFoldServer
from tests.support.signing import SignedRequest, Signer
from tests.support.stack import new_folder

NGINX = shutil.which("nginx") or ("/usr/sbin/nginx" if Path("/usr/sbin/nginx").exists() else None)
pytestmark = [
    pytest.mark.one_stack,
    pytest.mark.skipif(NGINX is None, reason="no nginx on this machine: install the distribution's package"),
]


@pytest.fixture(scope="module")
def site(forward_auth_server: DataFoldServer) -> Iterator[Site]:
    site, folder = Site(), new_folder("nginx-")
    configuration = folder / "nginx.conf"
    with running_application(site) as application:
        locations = documented("nginx.conf", datafold=forward_auth_server.port, application=application)
        configuration.write_text(_configuration(folder, site.port, locations))
        with running_proxy(site, [str(NGINX), "-p", str(folder), "-c", str(configuration)]):
            yield site


def test_a_signed_request_reaches_the_application_which_learns_who_signed(
    site: Site, fleet_client: Signer
) -> None:
    answer = site.send(fleet_client.sign("GET", url("/orders/a%2Fb//7?full=1&x=%2f")))
    assert (answer.status, answer.body) == (200, "from the application")
    seen = site.seen[-1]
    assert seen["x-datafold-client-id"] == "fleet-client"
    assert len(seen["x-datafold-key"]) == 43
    assert "schemas:read" in seen["x-datafold-scopes"]
    assert seen["x-datafold-profile"] == "standard"
    assert seen["x-datafold-body"] == "none"


def test_a_signed_body_reaches_the_application_as_declared(site: Site, fleet_client: Signer) -> None:
    assert site.send(fleet_client.sign("POST", url("/orders"), json_body={"a": 1})).status == 200
    assert site.seen[-1]["x-datafold-body"] == "declared"
    assert site.seen[-1]["body"] == '{"a": 1}'


def test_what_the_caller_says_of_itself_is_replaced(site: Site, fleet_client: Signer) -> None:
    answer = site.send(
        fleet_client.sign("GET", url("/orders")),
        X_DataFold_Client_Id="somebody-else",
        X_DataFold_Scopes="everything",
        X_DataFold_Key="forged",
        X_DataFold_Profile="forged",
        X_DataFold_Body="verified",
    )
    assert answer.status == 200
    seen = site.seen[-1]
    assert seen["x-datafold-client-id"] == "fleet-client"
    assert "forged" not in json.dumps(seen)
    assert "everything" not in json.dumps(seen)
    assert seen["x-datafold-body"] == "none"


def test_an_unsigned_request_stays_outside_and_is_told_what_to_sign(site: Site) -> None:
    before = len(site.seen)
    answer = site.send(SignedRequest("GET", url("/orders"), {"X-DataFold-Client-Id": "fleet-client"}))
    assert answer.status == 401
    assert answer.code == "SIGNATURE_MISSING"
    assert answer.fields["WWW-Authenticate"] == "Signature"
    assert '"@target-uri"' in answer.fields["Accept-Signature"]
    assert answer.fields["Content-Type"] == "application/json"
    assert len(site.seen) == before


def test_a_replay_stays_outside(site: Site, fleet_client: Signer) -> None:
    signed = fleet_client.sign("GET", url("/orders"))
    assert site.send(signed).status == 200
    before = len(site.seen)
    answer = site.send(signed)
    assert (answer.status, answer.code) == (401, "NONCE_REUSED")
    assert len(site.seen) == before


@pytest.mark.parametrize("tampering", ["target", "query", "method", "field"])
def test_what_was_tampered_with_stays_outside(site: Site, fleet_client: Signer, tampering: str) -> None:
    signed = fleet_client.sign(
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


def test_a_body_added_to_a_signed_get_stays_outside(site: Site, fleet_client: Signer) -> None:
    signed = fleet_client.sign("GET", url("/orders"))
    signed.content = b"added"
    assert site.send(signed).code == "COMPONENT_NOT_COVERED"


def test_other_statuses_reach_the_caller_through_nginx(site: Site) -> None:
    answer = site.send(SignedRequest("GET", url("/"), {"Signature": "?", "Signature-Input": "?"}))
    assert (answer.status, answer.code) == (400, "SIGNATURE_MALFORMED")


def test_another_host_is_not_judged(site: Site, fleet_client: Signer) -> None:
    answer = site.send(fleet_client.sign("GET", "http://elsewhere.example.org/orders"))
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
    site: Site, fleet_client: Signer, forged: dict[str, str]
) -> None:
    assert site.send(fleet_client.sign("GET", url("/orders")), **forged).status == 200
    moved = fleet_client.sign("GET", url("/public"))
    moved.url = url("/admin")
    assert site.send(moved, **forged).status == 401


def test_the_question_cannot_be_asked_through_nginx(site: Site, fleet_client: Signer) -> None:
    assert site.send(fleet_client.sign("GET", url("/_datafold"))).status == 404


def _configuration(folder: Path, port: int, locations: str) -> str:
    """The least that nginx needs around the documented locations."""
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
