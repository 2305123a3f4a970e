"""A file validated by real Celery workers on a real Redis: progress, an end on request, and a worker that is killed."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery

from tests.support.server import DataFoldServer
from tests.support.services import take_redis_database
from tests.support.signing import Signer
from tests.support.stack import PROJECT, run_folder
from tests.support.wire import Caller

SECONDS = 90.0
RECORDS = 1_200_000
EVERY = 5_000
ROW = {"id": "0b7c5e0a-6b0e-4c5e-9c57-0d2f6f3f9f01", "n": 1}
FIELDS = [{"name": "id", "type": "uuid", "required": True}, {"name": "n", "type": "integer"}]


class Workers:
    """A server whose files are validated by workers that the test starts and kills."""

    def __init__(self, server: DataFoldServer, broker: str) -> None:
        self.server = server
        self.broker = broker
        self.caller = Caller(server.base_url)
        self.signer = Signer("uploader")
        self.started: list[subprocess.Popen[bytes]] = []

    def get_in(self) -> None:
        """Register, and write the schema that files are validated against."""
        assert self.caller.register(self.signer).status_code == 200
        body = {"name": "rows", "fields": FIELDS}
        assert self.caller.signed(self.signer, "POST", "/api/v1/schemas", body).status_code == 201

    def start(self, *queues: str) -> subprocess.Popen[bytes]:
        """A worker of these queues; of all where none is named."""
        log = (run_folder() / f"validator-{self.server.port}-{len(self.started)}.log").open("wb")
        named = ("--queues", ",".join(queues), "--hostname", f"{queues[0]}@%h") if queues else ()
        options = ("--concurrency", "1", "--without-gossip", "--without-mingle", "--without-heartbeat")
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "project", "worker", *options, *named],
            cwd=PROJECT,
            env=self.server.environment | {"DJANGO_SETTINGS_MODULE": "project.settings"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        self.started.append(worker)
        return worker

    def kill(self, worker: subprocess.Popen[bytes]) -> None:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait(timeout=20)

    def upload(self, body: bytes) -> str:
        """Send the file; answers the path of its task."""
        signed = self.signer.sign(
            "POST",
            f"{self.server.base_url}/api/v1/schemas/rows/versions/1/validate-file",
            content=body,
            headers={"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"},
        )
        answer = self.caller.send(signed)
        assert answer.status_code == 202, answer.text
        return f"/api/v1/tasks/{answer.json()['data']['id']}"

    def get(self, path: str) -> Any:
        return self.caller.signed(self.signer, "GET", path).json()["data"]

    def health(self, part: str) -> Any:
        return self.caller.signed(self.signer, "GET", "/health/detailed").json()["data"]["services"][part]

    def wait(self, path: str, until: Callable[[Any], bool]) -> Any:
        deadline = time.monotonic() + SECONDS
        while not until(task := self.get(path)):
            assert time.monotonic() < deadline, task
            time.sleep(0.05)
        return task


@pytest.fixture
def workers(start_server: Callable[..., DataFoldServer]) -> Iterator[Workers]:
    broker = take_redis_database(run_folder())
    server = start_server("workers", DATAFOLD_REGISTRATION_POLICY="open", CELERY_BROKER_URL=broker)
    workers = Workers(server, broker)
    workers.get_in()
    yield workers
    for worker in workers.started:
        if worker.poll() is None:
            workers.kill(worker)


def packed_file() -> bytes:
    """RECORDS lines, every EVERY-th of them refused."""
    good, bad = (json.dumps({**ROW, "n": n}).encode() + b"\n" for n in (1, "x"))
    return gzip.compress((good * (EVERY - 1) + bad) * (RECORDS // EVERY), compresslevel=1)


@pytest.mark.one_stack
def test_a_killed_worker_s_file_is_finished_by_another_and_one_is_cancelled(workers: Workers) -> None:
    first = workers.start()
    body = packed_file()
    task = workers.upload(body)
    seen = workers.wait(task, lambda task: 0 < task["progress"] < 1)
    assert seen["state"] == "running"
    workers.kill(first)
    left = workers.get(task)
    assert left["state"] == "running", "killed too late to show anything"
    assert 0 < left["result"]["records"] < RECORDS

    workers.server.manage("shell", "-v0", "-c", A_MINUTE_LATER)
    workers.start()
    Celery(broker=workers.broker).send_task("keys.tasks.run_job", args=("resume-validations",))
    done = workers.wait(task, lambda task: task["state"] != "running")
    assert (done["state"], done["progress"], done["error"]) == ("done", 1, None)
    assert (done["result"]["records"], done["result"]["invalid"]) == (RECORDS, RECORDS // EVERY)
    report = workers.caller.signed(workers.signer, "GET", f"{task}/report").text.splitlines()
    assert [json.loads(line)["record"] for line in report] == [*range(EVERY, RECORDS + 1, EVERY)]

    unwanted = workers.upload(body)
    workers.wait(unwanted, lambda task: task["state"] == "running")
    assert workers.caller.signed(workers.signer, "POST", f"{unwanted}/cancel").status_code == 200
    ended = workers.wait(unwanted, lambda task: task["state"] != "running")
    assert ended["state"] == "cancelled"
    assert ended["result"]["records"] < RECORDS


@pytest.mark.one_stack
def test_a_file_that_comes_while_the_broker_is_away_is_validated_later(
    start_server: Callable[..., DataFoldServer],
) -> None:
    server = start_server(
        "brokerless", DATAFOLD_REGISTRATION_POLICY="open", CELERY_BROKER_URL="redis://127.0.0.1:1/0"
    )
    workers = Workers(server, broker=take_redis_database(run_folder()))
    workers.get_in()
    task = workers.upload(gzip.compress(json.dumps(ROW).encode()))
    assert workers.get(task)["state"] == "queued"
    assert "the broker is away" in server.log.read_text()

    server.manage("shell", "-v0", "-c", A_MINUTE_LATER)
    server.environment["CELERY_BROKER_URL"] = workers.broker
    worker = workers.start()
    server.manage("housekeeping")
    assert workers.wait(task, lambda task: task["state"] == "done")["result"]["valid"] == 1
    workers.kill(worker)


@pytest.mark.one_stack
def test_files_hold_up_no_other_job(workers: Workers) -> None:
    """One slot for jobs, none for files: the file came first, and a job is done all the same."""
    workers.start("celery")
    task = workers.upload(gzip.compress(json.dumps(ROW).encode()))
    Celery(broker=workers.broker).send_task("keys.tasks.run_job", args=("heartbeat",))
    deadline = time.monotonic() + SECONDS
    while workers.health("beat")["last_tick"] is None:
        assert time.monotonic() < deadline, "no job was done"
        time.sleep(0.05)
    assert workers.get(task)["state"] == "queued"
    workers.start("files")
    assert workers.wait(task, lambda task: task["state"] == "done")["result"]["valid"] == 1


A_MINUTE_LATER = """
from datetime import timedelta
from django.db.models import F
from schemas.models import ValidationJob
minute = timedelta(seconds=61)
ValidationJob.objects.update(heartbeat_at=F("heartbeat_at") - minute, created_at=F("created_at") - minute)
"""
