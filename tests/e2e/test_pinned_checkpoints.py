"""The SDK's command keeps a checkpoint of a real server's audit log, and notices what the database's owner does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.server import DataFoldServer

Command = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.one_stack

# What somebody does who owns the database: triggers stop nobody who can take them away.
CUT_THE_TAIL = """
from django.db import connection, transaction
with transaction.atomic(), connection.cursor() as cursor:
    if connection.vendor == "sqlite":
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name LIKE 'accounts_audit%'")
        for (name,) in cursor.fetchall():
            cursor.execute(f"DROP TRIGGER {name}")
    else:
        cursor.execute("SET LOCAL session_replication_role = replica")
    last = "(SELECT MAX(number) FROM accounts_auditcheckpoint)"
    seals = f"SELECT event_id FROM accounts_auditseal WHERE checkpoint_id = {last}"
    cursor.execute(f"DELETE FROM accounts_auditevent WHERE id IN ({seals})")
    cursor.execute(f"DELETE FROM accounts_auditseal WHERE checkpoint_id = {last}")
    cursor.execute(f"DELETE FROM accounts_auditcheckpoint WHERE number = {last}")
"""


@pytest.fixture
def server() -> Iterator[DataFoldServer]:
    """One of its own: its log is damaged in the end."""
    server = DataFoldServer("pinning")
    yield server
    server.stop()


@pytest.fixture
def datafold(tmp_path: Path, server: DataFoldServer) -> Command:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "XDG_CONFIG_HOME": str(tmp_path / "config"),
            "DATAFOLD_SERVER_URL": server.base_url,
        }
        command = [sys.executable, "-m", "datafold_sdk.cli", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    return run


def test_a_cut_tail_is_noticed_by_the_client_and_by_the_server(
    datafold: Command, server: DataFoldServer, tmp_path: Path
) -> None:
    registered = datafold("register", "--client-id", "keeper")
    assert registered.returncode == 0, registered.stderr
    server.manage("approve_key", "keeper")
    server.manage("seal_audit_log")
    kept = str(tmp_path / "checkpoint.json")
    pinned = datafold("audit", "pin", "--file", kept)
    assert pinned.returncode == 0, pinned.stderr
    assert "Pinned checkpoint 1" in pinned.stdout

    server.manage("suspend_key", "keeper", "--reason", "a look")
    server.manage("reactivate_key", "keeper", "--reason", "nothing")
    server.manage("seal_audit_log")
    checked = datafold("audit", "check", "--file", kept)
    assert checked.returncode == 0, checked.stderr
    assert "It continues 1" in checked.stdout
    event = server.manage(
        "shell", "-v0", "-c",
        "from accounts.models import AuditEvent; "
        "print(AuditEvent.objects.get(action='key.registered').pk)",
    ).stdout.split()[-1]  # fmt: skip
    proven = datafold("audit", "check", "--file", kept, "--event", event)
    assert proven.returncode == 0, proven.stderr
    assert "as it was sealed" in proven.stdout

    assert datafold("audit", "pin", "--file", kept).returncode == 0
    server.manage("verify_audit_log", "--checkpoint", kept)
    server.manage("shell", "-c", CUT_THE_TAIL)
    cut = datafold("audit", "pin", "--file", kept)
    assert cut.returncode == 1
    assert "AUDIT_LOG_CUT" in cut.stderr
    assert server.manage("verify_audit_log", check=False).returncode == 0, "unseen without a kept checkpoint"
    refused = server.manage("verify_audit_log", "--checkpoint", kept, check=False)
    assert refused.returncode == 1
    assert "2" in refused.stdout
