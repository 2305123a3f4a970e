"""Two JavaScript signers, independent of us and of each other, sign requests that a running server accepts."""

from __future__ import annotations

import base64
import fcntl
import http.client
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import DataFoldServer
from tests.support.signing import Signer
from tests.support.stack import PROJECT
from tests.verification.wire import register

pytestmark = pytest.mark.one_stack

SOURCES = Path(__file__).parent / "js"
CACHE = PROJECT / ".data" / "javascript"


@pytest.fixture(scope="module")
def javascript() -> Path:
    """The folder with the packages of js/package-lock.json; skips where they cannot be had."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no node and npm on the PATH: install Node.js to test JavaScript signers")
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in ("package.json", "package-lock.json", "sign.mjs"):
            shutil.copy(SOURCES / name, CACHE / name)
        result = subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"],
            cwd=CACHE,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    if result.returncode != 0:
        pytest.skip(f"npm cannot install the JavaScript signers: {result.stderr[-300:]}")
    return CACHE


def sign(
    folder: Path, package: str, signer: Signer, method: str, url: str, body: str | None
) -> dict[str, str]:
    """The header fields of the request that the package signed."""
    private = signer.private_key.private_bytes_raw()
    public = signer.private_key.public_key().public_bytes_raw()
    wish = {
        "package": package,
        "jwk": {"kty": "OKP", "crv": "Ed25519", "d": base64url(private), "x": base64url(public)},
        "keyid": signer.key_id,
        "method": method,
        "url": url,
        "body": body,
    }
    result = subprocess.run(
        ["node", "sign.mjs"],
        input=json.dumps(wish),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    fields: dict[str, str] = json.loads(result.stdout)
    return fields


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def send(
    server: DataFoldServer, method: str, path: str, fields: dict[str, str], body: str | None
) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request(method, path, body, fields)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("GET", "/api/v1/auth/me?a=1&b=%2F", None), ("POST", "/api/v1/auth/test", '{"from": "JavaScript"}')],
)
@pytest.mark.parametrize("package", ["http-message-sig", "web-bot-auth"])
def test_a_javascript_signer_is_understood(
    javascript: Path, datafold_server: DataFoldServer, package: str, method: str, path: str, body: str | None
) -> None:
    signer = Signer(f"javascript-{package}-{method}")
    register(datafold_server, signer)
    fields = sign(javascript, package, signer, method, datafold_server.base_url + path, body)
    status, answer = send(datafold_server, method, path, fields, body)
    assert status == 200, answer
    assert answer["data"]["client_id"] == signer.key_id

    status, answer = send(datafold_server, method, path, fields, body)
    assert (status, answer["error"]["code"]) == (401, "NONCE_REUSED")
