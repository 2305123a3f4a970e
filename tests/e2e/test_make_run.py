"""`make run` on an empty machine: what it prints, what it keeps, how it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.support.services import free_port
from tests.support.stack import PROJECT, new_folder, server_variables


class Launch:
    """One `make run`, as its terminal shows it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.base_url = f"http://127.0.0.1:{environment['PORT']}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "project.launcher"],
            cwd=PROJECT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def output(self) -> str:
        return "".join(self._lines)

    def until(self, text: str, seconds: float = 120) -> str:
        """The output, once `text` is in it."""
        deadline = time.monotonic() + seconds
        while text not in self.output:
            assert self.process.poll() is None or self._reader.is_alive(), f"It ended early:\n{self.output}"
            assert time.monotonic() < deadline, f"{text!r} did not come:\n{self.output}"
            time.sleep(0.05)
        return self.output

    def end(self, number: signal.Signals) -> int:
        """Send the signal and return the exit status; no process may be left."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(number)
        status = self.process.wait(timeout=30)
        self._reader.join(timeout=10)
        _, alive = psutil.wait_procs(family, timeout=5)
        assert alive == []
        return status

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.append(line)


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """A fresh machine: nothing set but where its data and its port are."""
    kept = {name: value for name, value in os.environ.items() if name not in server_variables()}
    data = new_folder("launcher-") / "fresh"
    return {**kept, "DATA_DIR": str(data), "PORT": str(free_port()), "WORKERS": "1"}


@pytest.fixture(scope="module")
def launch(environment: dict[str, str]) -> Iterator[Callable[[], Launch]]:
    started: list[Launch] = []

    def start() -> Launch:
        started.append(Launch(environment))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.end(signal.SIGTERM)


def test_the_first_start_and_the_second(launch: Callable[[], Launch], environment: dict[str, str]) -> None:
    first = launch()
    ready = f"DataFold is ready: {first.base_url}/\n"
    output = first.until(ready)
    assert_tour_in_order(output)
    password = re.findall(r"password  (\S+)", output)
    assert len(password) == 1
    assert sign_in(first.base_url, "admin", password[0])
    for path in ("/admin/", "/docs", "/health/"):
        assert f"{first.base_url}{path}" in output
        assert httpx2.get(first.base_url + path, trust_env=False, follow_redirects=True).status_code == 200
    for secret in ("secret_key", "encryption_keys"):
        file = Path(environment["DATA_DIR"]) / secret
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.read_text() not in output
    tour_client = re.findall(r"tour-\w+", output)[0]
    assert first.end(signal.SIGINT) == 0
    assert password[0] not in first.output.replace(f"password  {password[0]}", "")
    assert "Traceback" not in first.output

    second = launch()
    output = second.until(ready)
    assert "tour" not in output
    assert "password" not in output
    status = httpx2.get(f"{second.base_url}/api/v1/crypto/keys/status/{tour_client}", trust_env=False)
    assert status.json()["data"]["status"] == "active"
    assert sign_in(second.base_url, "admin", password[0])
    assert second.end(signal.SIGTERM) == 0


def assert_tour_in_order(output: str) -> None:
    steps = [
        "POST /api/v1/crypto/keys/register",
        "status pending",
        "403 KEY_NOT_ACTIVE",
        "approve_key",
        "GET /api/v1/auth/me",
        "POST /api/v1/schemas",
        "GET /api/v1/schemas/tour-orders",
        "first 200, then 401 NONCE_REUSED",
        "DataFold is ready",
    ]
    place = -1
    for step in steps:
        found = output.find(step, place + 1)
        assert found > place, f"{step!r} is not where it belongs:\n{output}"
        place = found


def sign_in(base_url: str, username: str, password: str) -> bool:
    """Whether the login page that the admin leads to lets these in, and the admin opens."""
    with httpx2.Client(base_url=base_url, trust_env=False, follow_redirects=True) as browser:
        page = browser.get("/admin/")
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
        name = re.search(r'<input[^>]*name="(username|login)"', page.text)
        assert token is not None
        assert name is not None
        fields = {name[1]: username, "password": password, "csrfmiddlewaretoken": token[1], "next": "/admin/"}
        landed = browser.post(str(page.url), data=fields, headers={"Referer": str(page.url)})
        return landed.status_code == 200 and landed.url.path == "/admin/"


def test_a_taken_port_is_named(environment: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused = Launch({**environment, "PORT": port})
        assert refused.process.wait(timeout=60) == 1
    assert f"127.0.0.1:{port}" in refused.until("PORT=")
    assert "Traceback" not in refused.output


def test_a_public_address_without_named_hosts_is_refused(environment: dict[str, str]) -> None:
    refused = Launch({**environment, "HOST": "0.0.0.0"})
    assert refused.process.wait(timeout=60) == 1
    assert "ALLOWED_HOSTS" in refused.until("make run")
    assert "Traceback" not in refused.output


def test_make_run_is_this_launcher() -> None:
    recipe = subprocess.run(["make", "-n", "run"], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert "python -m project.launcher" in recipe.stdout
