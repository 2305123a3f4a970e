"""Backup and restore as an operator performs them, ending in a verified log and a signed call."""

from __future__ import annotations

import gzip
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.server import DataFoldServer
from tests.support.signing import Signer
from tests.support.stack import new_folder, stack_environment
from tests.support.wire import Caller, assert_granted

ENCRYPTION_KEY = "b25seS1mb3ItdGVzdHMtb25seS1mb3ItdGVzdHMtMTI="
# The profile with the least skew: for so long a restored memory of nonces lets nobody in.
PROFILE = "strict"
COVERED = ("@method", "@target-uri", "@authority")
FIELDS = [{"name": "id", "type": "string", "required": True}]
# Of which the database keeps a row of its own: restoring must not keep it twice.
GIVE_AN_OWNER = """
from accounts.models import Client, User
Client.objects.filter(client_id="backed-up").update(owner=User.objects.create_user("owner"))
"""


@pytest.fixture(scope="module")
def server(start_server: Callable[..., DataFoldServer]) -> DataFoldServer:
    return start_server("original", DATAFOLD_ENCRYPTION_KEYS=ENCRYPTION_KEY)


@pytest.fixture(scope="module")
def signer(server: DataFoldServer) -> Signer:
    signer, caller = Signer("backed-up"), Caller(server.base_url)
    assert_granted(caller.register(signer))
    server.manage("approve_key", signer.key_id, "--profile", PROFILE)
    body = {"name": "orders", "fields": FIELDS}
    covered = (*COVERED, "content-type", "content-digest")
    assert_granted(caller.signed(signer, "POST", "/api/v1/schemas", body, covered=covered), 201)
    caller.close()
    server.manage("shell", "-c", GIVE_AN_OWNER)
    server.manage("seal_audit_log")
    return signer


@pytest.fixture(scope="module")
def backup(server: DataFoldServer, signer: Signer) -> Path:
    path = new_folder("backup-") / "datafold.tar.gz"
    server.manage("backup", str(path))
    return path


@pytest.fixture
def manage_empty(server: DataFoldServer) -> Callable[..., str]:
    """`manage.py` against an empty database."""
    empty = stack_environment("restored")

    def manage(*arguments: str, check: bool = True) -> str:
        original, server.environment = server.environment, {**server.environment, **empty}
        try:
            result = server.manage(*arguments, check=check)
        finally:
            server.environment = original
        return result.stdout + result.stderr

    return manage


def test_a_restored_server_serves_on(
    server: DataFoldServer, signer: Signer, backup: Path, start_server: Callable[..., DataFoldServer]
) -> None:
    empty = stack_environment("restored")
    restoring = dict(server.environment)
    server.environment = {**restoring, **empty}
    try:
        assert "Restored the database" in server.manage("restore", str(backup)).stdout
    finally:
        server.environment = restoring
    names = ("DATABASE_URL", "REDIS_URL", "DATA_DIR")
    restored = start_server(
        "restored", DATAFOLD_ENCRYPTION_KEYS=ENCRYPTION_KEY, **{name: empty[name] for name in names}
    )
    restored.manage("verify_audit_log")
    caller = Caller(restored.base_url)
    wait_until_let_in(caller, signer)
    schema = assert_granted(caller.signed(signer, "GET", "/api/v1/schemas/orders", covered=COVERED))["data"]
    assert schema["name"] == "orders"
    # Sequences go on where they were: a new row finds a free id.
    newcomer = Signer("after-restore")
    assert_granted(caller.register(newcomer))
    restored.manage("approve_key", newcomer.key_id)
    assert_granted(caller.signed(newcomer, "GET", "/api/v1/auth/me"))
    caller.close()


def wait_until_let_in(caller: Caller, signer: Signer) -> None:
    """A memory of nonces that begins anew lets signatures in once none from before can be fresh."""
    deadline = time.monotonic() + 60
    while (answer := caller.signed(signer, "GET", "/api/v1/auth/me", covered=COVERED)).status_code == 503:
        assert time.monotonic() < deadline, answer.text
        time.sleep(min(2, int(answer.headers["Retry-After"])))
    assert_granted(answer)


def test_a_backup_is_for_its_owner_alone(backup: Path) -> None:
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert list(backup.parent.iterdir()) == [backup]


@pytest.mark.on_postgres
def test_an_existing_file_is_not_overwritten(server: DataFoldServer, backup: Path) -> None:
    before = backup.read_bytes()
    result = server.manage("backup", str(backup), check=False)
    assert result.returncode != 0
    assert "exists already" in result.stderr
    assert backup.read_bytes() == before


@pytest.mark.on_postgres
def test_a_database_that_is_not_empty_is_left_alone(server: DataFoldServer, backup: Path) -> None:
    result = server.manage("restore", str(backup), check=False)
    assert result.returncode != 0
    assert "not empty" in result.stderr


@pytest.mark.on_postgres
def test_a_damaged_backup_restores_nothing(backup: Path, manage_empty: Callable[..., str]) -> None:
    content = gzip.decompress(backup.read_bytes())
    assert b"backed-up" in content
    damaged = backup.parent.parent / "damaged.tar.gz"
    damaged.write_bytes(gzip.compress(content.replace(b"backed-up", b"tamperedx")))
    printed = manage_empty("restore", str(damaged), check=False)
    assert "damaged" in printed
    assert "Traceback" not in printed


@pytest.mark.on_postgres
@pytest.mark.parametrize("content", [b"", b"no archive", gzip.compress(b"x" * 2000)])
def test_what_is_no_backup_is_refused(
    content: bytes, manage_empty: Callable[..., str], tmp_path: Path
) -> None:
    path = tmp_path / "what.tar.gz"
    path.write_bytes(content)
    printed = manage_empty("restore", str(path), check=False)
    assert "CommandError" in printed
    assert "Traceback" not in printed
