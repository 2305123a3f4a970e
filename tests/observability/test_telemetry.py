"""Traces and crash reports: off by default, without a secret when on; request ids through the worker."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.server import DataFoldServer
from tests.support.signing import Signer
from tests.support.stack import PROJECT, Stack, current_stack
from tests.support.wire import Caller, assert_granted

SECRET = "hunter2-super-secret-value-0123456789abcdef"


class Sink:
    """An HTTP server that keeps what it is sent."""

    def __init__(self) -> None:
        received: list[tuple[str, bytes]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                encoded = self.headers.get("Content-Encoding") == "gzip"
                received.append((self.path, gzip.decompress(body) if encoded else body))
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                pass

        self.received = received
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait(self, condition: Callable[[bytes], bool], seconds: float = 30) -> bytes:
        deadline = time.monotonic() + seconds
        while True:
            everything = b"\n".join(body for _, body in self.received)
            if condition(everything):
                return everything
            assert time.monotonic() < deadline, everything[-2000:]
            time.sleep(0.1)


@pytest.fixture
def sink() -> Iterator[Sink]:
    sink = Sink()
    yield sink
    sink.server.shutdown()


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "project.settings", **variables}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=60
    )


@pytest.mark.one_stack
def test_neither_is_imported_unless_it_is_configured() -> None:
    names = ("sentry_sdk", "opentelemetry.sdk.trace", "opentelemetry.exporter")
    code = f"import sys, project.wsgi; print([n for n in {names} if n in sys.modules])"
    assert run(code).stdout.strip() == "[]"


CRASH = f"""
import logging, project.wsgi, sentry_sdk
from project.context import RequestContext, use_context
password = {SECRET!r}
try:
    with use_context(RequestContext(request_id="crash-report-1")):
        try:
            raise ValueError("cannot reach postgres://datafold:{SECRET}@db/x with bearer {SECRET}")
        except ValueError as error:
            sentry_sdk.capture_exception(error)
        logging.getLogger("somewhere").error("cannot read %s", "postgres://u:short@db", extra={{"x": {SECRET!r}}})
        logging.getLogger("somewhere").error("cannot write to postgres://u:short@db")
        sentry_sdk.capture_message("cannot tell postgres://u:short@db")
finally:
    sentry_sdk.flush(10)
"""


@pytest.mark.one_stack
def test_a_crash_report_names_the_request_and_no_secret(sink: Sink) -> None:
    result = run(CRASH, SENTRY_DSN=sink.url.replace("http://", "http://public@") + "/1")
    assert result.returncode == 0, result.stderr
    told = (b"ValueError", b"cannot reach", b"cannot read %s", b"cannot write to", b"cannot tell")
    report = sink.wait(lambda body: all(part in body for part in told))
    assert b"crash-report-1" in report
    assert SECRET.encode() not in report
    assert b"short" not in report
    assert os.environ["SECRET_KEY"].encode() not in report


def test_spans_carry_the_route_and_no_secret(start_server: Callable[..., DataFoldServer], sink: Sink) -> None:
    server = start_server(
        "traced",
        OTEL_EXPORTER_OTLP_ENDPOINT=sink.url,
        DATAFOLD_TRACE_RATIO="1.0",
        OTEL_BSP_SCHEDULE_DELAY="200",
    )
    signer, caller = Signer("traced-client"), Caller(server.base_url)
    assert_granted(caller.register(signer))
    server.manage("approve_key", signer.key_id)
    signed = signer.sign(
        "GET",
        f"{server.base_url}/api/v1/auth/me?token={SECRET}",
        headers={"X-Request-ID": "traced-request-1"},
    )
    answer = caller.http.get(signed.url, headers={**signed.headers, "X-Api-Key": SECRET})
    assert_granted(answer)
    spans = sink.wait(lambda body: b"traced-request-1" in body)
    assert b"GET api/v1/auth/me" in spans
    assert SECRET.encode() not in spans
    assert signed.headers["Signature"].encode()[5:60] not in spans
    caller.close()


@pytest.mark.skipif(current_stack() is not Stack.POSTGRES, reason="needs Redis: DATAFOLD_TEST_STACK=postgres")
def test_the_request_id_reaches_the_worker(datafold_server: DataFoldServer) -> None:
    environment = datafold_server.environment
    log_path = Path(environment["DATA_DIR"]) / "telemetry-worker.log"
    with log_path.open("wb") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "project.celery", "worker", "-c", "1", "-l", "info"],
            env=environment,
            cwd=PROJECT,
            stdout=log,
            stderr=log,
        )
    code = (
        "import django; django.setup(); from project.context import *; from keys.tasks import run_job\n"
        "with use_context(RequestContext(request_id='from-the-web-1')): run_job.delay('no-such-job')"
    )
    try:
        sent = subprocess.run(
            [sys.executable, "-c", code],
            env={**environment, "DJANGO_SETTINGS_MODULE": "project.settings"},
            cwd=PROJECT,
            capture_output=True,
            text=True,
        )
        assert sent.returncode == 0, sent.stderr
        deadline = time.monotonic() + 60
        while not [line for line in json_lines(log_path) if line.get("request_id") == "from-the-web-1"]:
            assert time.monotonic() < deadline, log_path.read_text()[-2000:]
            time.sleep(0.2)
    finally:
        worker.terminate()
        worker.wait(timeout=30)


def json_lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]
