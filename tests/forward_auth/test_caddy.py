"""A real Caddy, configured as docs/forward-auth.md says: what it passes on, and what it must not."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator

import pytest

from tests.forward_auth.site import HOST, Site, documented, running_application, running_proxy, url
from tests.support.server import DataFoldServer
from tests.support.signing import SignedRequest, Signer
from tests.support.stack import new_folder

CADDY = shutil.which("caddy")
pytestmark = [
    pytest.mark.one_stack,
    pytest.mark.skipif(CADDY is None, reason="no caddy on this machine: install the distribution's package"),
]


@pytest.fixture(scope="module")
def site(forward_auth_server: DataFoldServer) -> Iterator[Site]:
    site, folder = Site(), new_folder("caddy-")
    with running_application(site) as application:
        block = documented("Caddyfile", datafold=forward_auth_server.port, application=application)
        assert block.startswith(f"{HOST} {{")
        options = "{\n admin off\n auto_https off\n}\n"
        configuration = folder / "Caddyfile"
        configuration.write_text(options + block.replace(HOST, f"http://{HOST}:{site.port}", 1))
        command = [str(CADDY), "run", "--config", str(configuration), "--adapter", "caddyfile"]
        folders = {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        with running_proxy(site, command, env={**os.environ, **folders}):
            yield site


def test_a_signed_request_reaches_the_application_which_learns_who_signed(
    site: Site, fleet_client: Signer
) -> None:
    answer = site.send(fleet_client.sign("GET", url("/orders/a%2Fb//7?full=1&x=%2f&y=a+b")))
    assert (answer.status, answer.body) == (200, "from the application")
    seen = site.seen[-1]
    assert seen["x-datafold-client-id"] == "fleet-client"
    assert len(seen["x-datafold-key"]) == 43
    assert "schemas:read" in seen["x-datafold-scopes"]
    assert (seen["x-datafold-profile"], seen["x-datafold-body"]) == ("standard", "none")


def test_a_signed_body_is_declared_and_reaches_the_application(site: Site, fleet_client: Signer) -> None:
    assert site.send(fleet_client.sign("POST", url("/orders"), json_body={"a": 1})).status == 200
    assert site.seen[-1]["x-datafold-body"] == "declared"
    assert site.seen[-1]["body"] == '{"a": 1}'


def test_an_unsigned_request_stays_outside_and_is_told_what_to_sign(site: Site) -> None:
    before = len(site.seen)
    answer = site.send(SignedRequest("GET", url("/orders"), {"X-DataFold-Client-Id": "fleet-client"}))
    assert (answer.status, answer.code) == (401, "SIGNATURE_MISSING")
    assert answer.fields["Www-Authenticate"] == "Signature"
    assert '"@target-uri"' in answer.fields["Accept-Signature"]
    assert len(site.seen) == before


@pytest.mark.parametrize("tampering", ["target", "method", "replay"])
def test_what_was_tampered_with_stays_outside(site: Site, fleet_client: Signer, tampering: str) -> None:
    signed = fleet_client.sign("GET", url("/orders?a=1"))
    if tampering == "target":
        signed.url = url("/orders?a=2")
    elif tampering == "method":
        signed.method = "DELETE"
    else:
        assert site.send(signed).status == 200
    before = len(site.seen)
    answer = site.send(signed)
    expected = "NONCE_REUSED" if tampering == "replay" else "SIGNATURE_VERIFICATION_FAILED"
    assert (answer.status, answer.code) == (401, expected)
    assert len(site.seen) == before


@pytest.mark.parametrize(
    "forged",
    [
        {"X_Forwarded_Uri": "/public", "X_Forwarded_Method": "GET"},
        {"X_Original_URI": "/public", "X_Original_Method": "GET"},
        {"X_Forwarded_Host": "elsewhere.example.org", "X_Forwarded_Proto": "https"},
        {"X_Forwarded_For": "10.0.0.1"},
    ],
)
def test_what_the_caller_says_of_itself_changes_nothing(
    site: Site, fleet_client: Signer, forged: dict[str, str]
) -> None:
    claims = {
        "X_DataFold_Client_Id": "somebody-else",
        "X_DataFold_Scopes": "all",
        "X_DataFold_Body": "verified",
    }
    assert site.send(fleet_client.sign("GET", url("/orders")), **forged, **claims).status == 200
    seen = site.seen[-1]
    assert (seen["x-datafold-client-id"], seen["x-datafold-body"]) == ("fleet-client", "none")
    assert "somebody-else" not in json.dumps(seen)
    for name in ("X_DataFold_Client_Id", "X-DataFold_Client-Id", "x_datafold-client-id"):
        signed = fleet_client.sign("GET", url("/orders"))
        signed.headers[name] = "somebody-else"
        assert site.send(signed).status == 200
        assert "somebody-else" not in json.dumps(site.seen[-1])
    moved = fleet_client.sign("GET", url("/public"))
    moved.url = url("/admin")
    assert site.send(moved, **forged).status == 401
