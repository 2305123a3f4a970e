"""An upgrade without an outage: migrations that lock nothing for long, and the version before on the schema after."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import tarfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from tests.contract.examples import send_examples
from tests.contract.world import World
from tests.support.server import DataFoldServer
from tests.support.services import create_database, take_redis_database
from tests.support.signing import Signer
from tests.support.stack import PROJECT, Stack, current_stack, new_folder, run_folder, stack_environment
from tests.support.wire import Caller, assert_granted, assert_refused

pytestmark = pytest.mark.skipif(
    current_stack() is not Stack.POSTGRES, reason="needs PostgreSQL: DATAFOLD_TEST_STACK=postgres"
)

# What the first release ships: nothing older ever runs beside these.
FIRST_RELEASE = {"accounts": "0012", "keys": "0008", "schemas": "0007"}
# Matters of taste.
UNJUDGED = ["RUNPYTHON_MODEL_IMPORT", "RUNPYTHON_MODEL_VARIABLE_NAME"]
FIELDS = [{"name": "id", "type": "string", "required": True}]


# --- Locks ------------------------------------------------------------------------------------------------


def lint(app: str, name: str) -> str:
    """What django-migration-linter complains of in one migration; "" where there is nothing."""
    from django.db import connection
    from django.db.migrations.loader import MigrationLoader
    from django_migration_linter import MigrationLinter

    linter = MigrationLinter(
        str(PROJECT), no_cache=True, all_warnings_as_errors=True, exclude_migration_tests=UNJUDGED
    )
    with contextlib.redirect_stdout(io.StringIO()) as said:
        linter.lint_migration(MigrationLoader(connection).get_migration(app, name))
    return said.getvalue() if linter.nb_erroneous else ""


def migrations() -> list[tuple[str, str]]:
    return [
        (app, path.stem)
        for app in FIRST_RELEASE
        for path in sorted((PROJECT / app / "migrations").glob("0*.py"))
    ]


def test_migrations_after_the_first_release_hold_no_lock_and_break_no_older_version(db: None) -> None:
    later = [(app, name) for app, name in migrations() if name[:4] > FIRST_RELEASE[app]]
    assert "".join(lint(*migration) for migration in later) == ""


def test_the_linter_sees_what_it_shall_see(db: None) -> None:
    """On migrations from before the first release, which could afford it."""
    assert "NOT NULL constraint" in lint("schemas", "0003_registry")
    assert "CREATE INDEX locks table" in lint("schemas", "0006_list_indexes")
    assert "RENAMING" in lint("accounts", "0011_owners_ever")


def test_a_migration_that_waits_for_a_lock_gives_up() -> None:
    environment = {**os.environ, **stack_environment("locked", migrated=True)}

    def migrate() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", "migrate", "accounts", "0011", "--lock-timeout", "0.2"],
            cwd=PROJECT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )

    with psycopg.connect(environment["DATABASE_URL"]) as reader:
        reader.execute("SELECT count(*) FROM accounts_user")  # a report that takes its time
        refused = migrate()
    assert refused.returncode == 1
    assert "Run it again in a quieter moment" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert migrate().returncode == 0


# --- The version before on the schema after ---------------------------------------------------------------


@pytest.fixture(scope="module")
def before() -> Path:
    """The sources of the newest release; until there is one, those before the newest migration."""
    commit = git("describe", "--tags", "--match", "v[0-9]*", "--abbrev=0") or git(
        "log", "-1", "--format=%H^", "--", ":(glob)*/migrations/0*.py"
    )
    archive = subprocess.run(["git", "archive", commit], cwd=PROJECT, capture_output=True, check=False)
    if not commit or archive.returncode:
        pytest.skip("no history here: git has no version before this one")
    folder = new_folder("before-")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as sources:
        sources.extractall(folder, filter="data")
    return folder


def git(*arguments: str) -> str:
    """What git prints; "" where it fails."""
    answer = subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else ""


class Users:
    """Clients that go on reading and writing on a server until they are told to stop."""

    def __init__(self, base_url: str, signer: Signer) -> None:
        self.answers: Counter[int] = Counter()
        self._base_url, self._signer = base_url, signer
        self._enough = threading.Event()
        self._threads = [threading.Thread(target=self._use, args=(number,)) for number in range(2)]

    def _use(self, number: int) -> None:
        caller = Caller(self._base_url)
        for turn in range(5000):
            if self._enough.is_set():
                break
            schema = {"name": f"upgrade-{number}-{turn}", "fields": FIELDS}
            for answer in (
                caller.signed(self._signer, "POST", "/api/v1/schemas", schema),
                caller.signed(self._signer, "GET", "/api/v1/schemas?limit=2"),
                caller.signed(self._signer, "GET", "/api/v1/auth/me"),
            ):
                self.answers[answer.status_code] += 1
            self._enough.wait(0.05)  # or they take the processor that the new version starts on
        caller.close()

    def __enter__(self) -> Users:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture(scope="module")
def old(before: Path) -> Iterator[DataFoldServer]:
    database = create_database(run_folder(), f"upgrade_{before.name[-6:]}")
    redis = take_redis_database(run_folder())
    server = DataFoldServer(
        "before",
        source=before,
        DATABASE_URL=database,
        REDIS_URL=redis,
        CELERY_BROKER_URL=redis,
        DATAFOLD_WEBHOOK_ALLOWED_NETWORKS="127.0.0.0/8",
        DATAFOLD_WEBHOOK_PORTS="9,443",
    )
    yield server
    server.stop()


def test_the_version_before_serves_on_while_the_schema_is_migrated_and_after(
    old: DataFoldServer, start_server: Callable[..., DataFoldServer]
) -> None:
    world = World(old)
    with Users(old.base_url, world.signer) as users:
        shared = {name: old.environment[name] for name in ("DATABASE_URL", "REDIS_URL", "DATA_DIR")}
        new = start_server("after", **shared)  # which migrates first
        sent = users.answers.total()
        deadline = time.monotonic() + 60
        while users.answers.total() < sent + 30:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert set(users.answers) == {200, 201}, old.errors()

    # The old one does whatever its people and programs ask for, beside the new one.
    for owner in ("contract-admin", "contract-other"):
        assert_granted(world.operate("PATCH", f"clients/{world.signer.key_id}", {"owner": owner}))
    document = world.session.get(
        f"{old.base_url}/openapi.json", headers={"Accept": "application/json"}
    ).json()
    failed = [name for name, _, answer in send_examples(world, document) if answer.status_code >= 500]
    assert failed == [], old.errors()
    both = [Caller(old.base_url), Caller(new.base_url)]
    for each in both:
        assert_granted(each.signed(world.signer, "GET", "/api/v1/auth/me"))
        assert_granted(each.http.get("/health/ready"))
        assert each.http.get("/account/login/").status_code == 200
    reason = {"reason": "keyCompromise", "thumbprint": world.key["thumbprint"]}
    assert_granted(world.operate("POST", f"keys/{world.key['registration_id']}/revoke", reason))
    for each in both:
        assert_refused(each.signed(world.signer, "GET", "/api/v1/auth/me"), 403, "KEY_REVOKED")
        each.close()
    world.close()
    new.manage("verify_audit_log")
