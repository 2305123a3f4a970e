"""The client application that the wire contract was taken from, unchanged, against this server."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.support.seed import WHY_SKIPPED, extract_application, seed_text
from tests.support.server import DataFoldServer
from tests.support.services import free_port
from tests.support.signing import Signer
from tests.support.stack import server_variables
from tests.support.wire import Caller

pytestmark = pytest.mark.one_stack

# The application only looks whether these are there: what it verifies itself is pretended in its text.
ITS_CALLER = {"Signature": "sig=:eHl6:", "Signature-Input": 'sig=("@method");created=1'}
FIELDS = [
    {"name": "user_id", "type": "string", "required": True},
    {"name": "event_type", "type": "string", "required": True},
    {"name": "timestamp", "type": "datetime", "required": True},
]


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = seed_text()
    if text is None:
        pytest.skip(WHY_SKIPPED)
    folder = tmp_path_factory.mktemp("seed")
    extract_application(text, folder)
    return folder


@pytest.fixture(scope="module")
def open_server(application: Path, start_server: Callable[..., DataFoldServer]) -> DataFoldServer:
    return start_server("seed", DATAFOLD_REGISTRATION_POLICY="open", WORKERS="1")


def its_environment(server: DataFoldServer, **variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in server_variables()}
    return {
        **kept,
        "DATAFOLD_SERVER_URL": server.base_url,
        "DATAFOLD_REQUIRE_AUTH": "true",
        "NO_PROXY": "*",
        "PYTHONWARNINGS": "ignore",
        **variables,
    }


@contextmanager
def running(application: Path, server: DataFoldServer, **variables: str) -> Iterator[httpx2.Client]:
    """Its own main, on a port of its own."""
    port = free_port()
    log = application / "its.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "run_seed.py", "app.main"],
            cwd=application,
            env=its_environment(server, HOST="127.0.0.1", PORT=str(port), **variables),
            stdout=output,
            stderr=output,
        )
    try:
        with httpx2.Client(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, headers=ITS_CALLER
        ) as client:
            _wait(client, process, log)
            yield client
    finally:
        process.terminate()
        process.wait(timeout=15)


def _wait(client: httpx2.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            client.get("/")
        except httpx2.TransportError:
            assert process.poll() is None, log.read_text()[-4000:]
            assert time.monotonic() < deadline, log.read_text()[-4000:]
            time.sleep(0.1)
        else:
            return


@pytest.mark.parametrize("credentials", ["new", "existing"])
def test_it_registers_lists_creates_and_deletes(
    application: Path, open_server: DataFoldServer, credentials: str
) -> None:
    variables = {}
    if credentials == "existing":
        signer = Signer("seed-existing")
        caller = Caller(open_server.base_url)
        assert caller.register(signer).json()["data"]["status"] == "active"
        caller.close()
        variables = {
            "DATAFOLD_CLIENT_ID": signer.key_id,
            "DATAFOLD_PRIVATE_KEY": signer.private_key.private_bytes_raw().hex(),
        }
    name = f"user_events_{credentials}"
    with running(application, open_server, **variables) as its:
        health = its.get("/health/").json()["data"]["services"]["datafold"]
        assert health["status"] == "healthy"
        assert health["connectivity"] == "healthy", health
        detailed = its.get("/health/detailed").json()["data"]
        assert detailed["services"]["datafold"]["connectivity"] == "healthy"

        assert name not in schema_names(its)
        created = its.post("/api/schemas/", json={"name": name, "fields": FIELDS}).json()
        assert created["success"] is True, created
        assert created["data"]["name"] == name
        assert created["data"]["version"] == "1.0.0"
        assert [field["name"] for field in created["data"]["fields"]] == [
            "user_id",
            "event_type",
            "timestamp",
        ]
        assert name in schema_names(its)

        deleted = its.delete(f"/api/schemas/{name}").json()
        assert deleted["success"] is True, deleted
        assert name not in schema_names(its)

        assert its.get("/api/auth/status").json()["data"]["is_authenticated"] is True
        assert its.get("/api/auth/me").json()["data"]["client_id"] == health["client_id"]

    status = httpx2.get(
        f"{open_server.base_url}/api/crypto/keys/status/{health['client_id']}", trust_env=False
    ).json()
    assert status["data"]["status"] == "active"


def schema_names(its: httpx2.Client) -> list[str]:
    body = its.get("/api/schemas/").json()
    assert body["success"] is True, body
    assert body["meta"]["count"] == len(body["data"])
    return [schema["name"] for schema in body["data"]]


def test_its_own_tests_pass(application: Path, open_server: DataFoldServer) -> None:
    result = subprocess.run(
        [
            sys.executable,
            "run_seed.py",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:django",
            "test_main.py",
        ],
        cwd=application,
        env=its_environment(open_server),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    assert "passed" in result.stdout
