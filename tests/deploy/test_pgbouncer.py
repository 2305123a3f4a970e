"""Behind PgBouncer in transaction mode: two connections to PostgreSQL serve everybody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.pgbouncer import PGBOUNCER, WHY_SKIPPED, PgBouncer
from tests.support.server import DataFoldServer
from tests.support.services import running_services
from tests.support.signing import Signer
from tests.support.stack import Stack, current_stack, new_folder, run_folder, stack_environment
from tests.support.wire import Caller, assert_granted, assert_refused

pytestmark = [
    pytest.mark.skipif(current_stack() is not Stack.POSTGRES, reason="needs DATAFOLD_TEST_STACK=postgres"),
    pytest.mark.skipif(PGBOUNCER is None, reason=WHY_SKIPPED),
]

POOL_SIZE = 2
CLIENTS = 6
VERSIONS = 4


@pytest.fixture(scope="module")
def database() -> str:
    """The name of a migrated database."""
    return stack_environment("pooled", migrated=True)["DATABASE_URL"].rpartition("/")[2]


@pytest.fixture(scope="module")
def server(database: str, start_server: Callable[..., DataFoldServer]) -> Iterator[DataFoldServer]:
    pooler = PgBouncer(run_folder(), new_folder("pgbouncer-"), pool_size=POOL_SIZE)
    yield start_server(
        "pooled",
        DATABASE_URL=pooler.url(database),
        DATABASE_PGBOUNCER="true",
        DATAFOLD_REGISTRATION_POLICY="open",
    )
    pooler.stop()


def fields(count: int) -> list[dict[str, Any]]:
    return [{"name": f"field_{number}", "type": "string", "required": False} for number in range(count)]


@pytest.fixture(scope="module")
def signers(server: DataFoldServer) -> list[Signer]:
    """Clients that have written their schemas, all at once."""
    signers = [Signer(f"pooled-{number}") for number in range(CLIENTS)]
    caller = Caller(server.base_url)
    for signer in signers:
        assert_granted(caller.register(signer))
    caller.close()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda signer: write_versions(server, signer), signers))
    return signers


def write_versions(server: DataFoldServer, signer: Signer) -> None:
    caller = Caller(server.base_url)
    schema = {"name": signer.key_id, "fields": fields(1)}
    assert_granted(caller.signed(signer, "POST", "/api/v1/schemas", schema), 201)
    for count in range(2, VERSIONS + 1):
        path = f"/api/v1/schemas/{signer.key_id}/versions"
        assert_granted(caller.signed(signer, "POST", path, {"fields": fields(count)}), 201)
        assert_granted(caller.signed(signer, "GET", "/api/v1/schemas?limit=3"))
    caller.close()


def test_clients_that_write_at_once_share_two_connections(
    signers: list[Signer], database: str, server: DataFoldServer
) -> None:
    with psycopg.connect(host=running_services(run_folder()).postgres_socket, user="postgres") as direct:
        row = direct.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = %s", [database]
        ).fetchone()
    assert row is not None
    assert 1 <= row[0] <= POOL_SIZE
    caller = Caller(server.base_url)
    for signer in signers:
        path = f"/api/v1/schemas/{signer.key_id}/versions"
        versions = assert_granted(caller.signed(signer, "GET", path))["data"]
        assert [version["number"] for version in versions] == list(range(VERSIONS, 0, -1))
    caller.close()
    assert server.errors() == ""


def test_a_replay_is_refused(server: DataFoldServer, signers: list[Signer]) -> None:
    caller = Caller(server.base_url)
    signed = caller.prepare(signers[0], "GET", "/api/v1/auth/me")
    assert_granted(caller.send(signed))
    assert_refused(caller.send(signed), 401, "NONCE_REUSED")
    caller.close()


def test_background_work_and_commands_that_read_long_tables(
    server: DataFoldServer, signers: list[Signer], tmp_path: Path
) -> None:
    """Each reads by an iterator, which must not ask for a cursor that lies on another connection."""
    commands = [
        ("housekeeping",),
        ("verify_audit_log",),
        ("verify_receipts",),
        ("list_keys",),
        ("backup", str(tmp_path / "datafold.tar.gz")),
    ]
    run_all = f"from django.core.management import call_command\nfor each in {commands}: call_command(*each)"
    said = server.manage("shell", "-v0", "-c", run_all).stdout
    assert "The audit log is intact" in said
    assert f"{CLIENTS * VERSIONS} versions: {CLIENTS * VERSIONS} " in said
    assert "pooled-3" in said
    assert (tmp_path / "datafold.tar.gz").exists()
