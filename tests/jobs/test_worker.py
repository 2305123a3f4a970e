"""A real Celery worker and beat on a real Redis, with a real database; also a worker that is killed."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from cryptography.fernet import Fernet

from project.celery import TIMETABLE
from tests.support.python import run_python
from tests.support.services import take_redis_database
from tests.support.stack import PROJECT, new_folder, run_folder, server_variables

SECONDS = 60.0


class Background:
    """A server's environment with its own database and Redis, and the processes that work on it."""

    def __init__(self) -> None:
        self.folder = new_folder("worker-")
        self.redis_url = take_redis_database(run_folder())
        clean = {name: value for name, value in os.environ.items() if name not in server_variables()}
        self.environment = {
            **clean,
            "SECRET_KEY": "only-for-tests-" * 5,
            "DATAFOLD_DEVELOPMENT": "true",
            "DATA_DIR": str(self.folder),
            "DATABASE_URL": f"sqlite:///{self.folder / 'datafold.sqlite3'}",
            "REDIS_URL": self.redis_url,
            "DATAFOLD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "DATAFOLD_OPERATORS_EMAIL": "ops@example.com",
            "EMAIL_URL": f"file:///{self.folder / 'mail'}",
            "LOG_FORMAT": "text",
            "DJANGO_SETTINGS_MODULE": "project.settings",
        }
        self.processes: list[subprocess.Popen[bytes]] = []
        self.manage("migrate", "-v0")

    def manage(self, *args: str) -> None:
        done = run_python(["manage.py", *args], environment=self.environment)
        assert done.returncode == 0, done.stderr

    def python(self, code: str) -> None:
        self.manage("shell", "-v0", "-c", code)

    def enqueue(self, job: str) -> None:
        Celery(broker=self.redis_url).send_task("keys.tasks.run_job", args=(job,))

    def celery(self, app: str, *args: str) -> subprocess.Popen[bytes]:
        log = (self.folder / f"celery-{len(self.processes)}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", app, *args],
            cwd=PROJECT,
            env=self.environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def worker(self, *options: str) -> subprocess.Popen[bytes]:
        quiet = ("--without-gossip", "--without-mingle", "-l", "info")
        return self.celery("project", "worker", "--concurrency", "1", *quiet, *options)

    def query(self, sql: str) -> list[Any]:
        with sqlite3.connect(
            f"file:{self.folder / 'datafold.sqlite3'}?mode=ro", uri=True, timeout=20
        ) as connection:
            return connection.execute(sql).fetchall()

    def logs(self) -> str:
        return "\n".join(path.read_text()[-2000:] for path in sorted(self.folder.glob("celery-*.log")))

    def wait(self, until: Callable[[], Any], what: str) -> None:
        deadline = time.monotonic() + SECONDS
        while not until():
            assert time.monotonic() < deadline, f"{what} did not happen:\n{self.logs()}"
            time.sleep(0.1)

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(timeout=10)


@pytest.fixture(scope="module")
def _background() -> Iterator[Background]:
    started = Background()
    yield started
    started.stop()


@pytest.fixture
def background(_background: Background) -> Iterator[Background]:
    yield _background
    _background.stop()


MAKE = """
from datetime import timedelta
from django.utils import timezone
from accounts.audit import Actor
from keys import lifecycle
from keys.httpsig.signing import PrivateKey
from keys.registration import Registration, register
def make(client_id, ends_in):
    key = register(Registration(public_key=PrivateKey.generate().public_key, client_id=client_id))
    return lifecycle.approve(key, actor=Actor.system("tests"), expires_at=timezone.now() + ends_in)
"""


def test_beat_and_worker_do_what_is_due_once(background: Background) -> None:
    """Beat starts every job each second: what came due while nothing ran is done, each thing once."""
    background.python(
        MAKE + "make('due', timedelta(seconds=-5))\nkey = make('warned', timedelta(days=5))\n"
        "import redis, os\n"
        "redis.Redis.from_url(os.environ['REDIS_URL']).hincrby('df:use:{warned}', f'{key.pk}|480000', 7)"
    )
    background.worker()
    background.celery("tests.jobs.fast_clock", "beat", "-s", str(background.folder / "beat"), "-l", "info")
    finished = "SELECT name FROM accounts_jobrun WHERE last_finished IS NOT NULL"
    background.wait(lambda: {name for (name,) in background.query(finished)} == set(TIMETABLE), "every job")
    first_beat = background.query("SELECT last_finished FROM accounts_jobrun WHERE name = 'seal-audit-log'")
    again = "SELECT last_finished FROM accounts_jobrun WHERE name = 'seal-audit-log'"
    background.wait(lambda: background.query(again) != first_beat, "a second round")
    assert background.query("SELECT status FROM keys_key ORDER BY status") == [("active",), ("expired",)]
    assert background.query("SELECT count(*) FROM accounts_auditevent WHERE action = 'key.expired'") == [(1,)]
    assert background.query("SELECT usage_count FROM keys_key WHERE status = 'active'") == [(7,)]
    unsealed = (
        "SELECT count(*) FROM accounts_auditevent WHERE id NOT IN (SELECT event_id FROM accounts_auditseal)"
    )
    assert background.query(unsealed) == [(0,)]
    mails = b"".join(path.read_bytes() for path in Path(background.folder / "mail").iterdir())
    assert mails.count(b"will expire") == 1
    assert background.query("SELECT name, last_error FROM accounts_jobrun WHERE last_error <> ''") == []


def test_a_killed_worker_loses_nothing_and_repeats_nothing(background: Background) -> None:
    """SIGKILL in the middle of a long run: the next worker does the rest, and no key expires twice."""
    background.python(MAKE + "for number in range(60): make(f'killed-{number}', timedelta(seconds=-5))")
    expired = "FROM accounts_auditevent WHERE action = 'key.expired' AND target_label LIKE 'killed-%'"
    worker = background.worker()
    background.enqueue("expire-keys")
    background.wait(lambda: background.query(f"SELECT count(*) {expired}")[0][0] >= 3, "the first expiries")
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait(timeout=10)
    assert background.query(f"SELECT count(*) {expired}")[0][0] < 60, "killed too late to show anything"
    background.worker()
    background.enqueue("expire-keys")
    background.wait(lambda: background.query(f"SELECT count(*) {expired}") == [(60,)], "the rest")
    assert background.query(f"SELECT count(DISTINCT target_id) {expired}") == [(60,)]
    assert background.query("SELECT count(*) FROM keys_key WHERE status = 'active'") == [(1,)]


def test_housekeeping_repeats_until_it_is_told_to_stop(background: Background) -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "manage.py",
            "housekeeping",
            "--every",
            "0.2",
            "--job",
            "heartbeat",
            "--job",
            "seal-audit-log",
        ],
        cwd=PROJECT,
        env=background.environment,
        stdout=subprocess.DEVNULL,
    )
    background.processes.append(process)
    started = "SELECT last_started FROM accounts_jobrun WHERE name = 'heartbeat'"
    before = background.query(started)
    background.wait(lambda: background.query(started) != before, "a heartbeat")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0
