"""Poolers and replicas: what a connection must not do, and who reads from where."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable

import psycopg
import pytest

from tests.support.server import DataFoldServer
from tests.support.services import create_database
from tests.support.signing import Signer
from tests.support.stack import PROJECT, Stack, current_stack, run_folder
from tests.support.wire import Caller, assert_granted, assert_refused

pytestmark = pytest.mark.skipif(
    current_stack() is not Stack.POSTGRES, reason="needs PostgreSQL: DATAFOLD_TEST_STACK=postgres"
)

LEFT_BEHIND = """
import django, json; django.setup()
from django.db import connection
from django.contrib.auth.models import Permission
rows = Permission.objects.order_by("pk").iterator(chunk_size=1)
next(rows)
for _ in range(8):
    list(Permission.objects.filter(codename="x"))
with connection.cursor() as cursor:
    cursor.execute("SELECT count(*) FROM pg_prepared_statements")
    prepared = cursor.fetchone()[0]
    cursor.execute("SELECT count(*) FROM pg_cursors WHERE is_holdable")
    print(json.dumps({"prepared": prepared, "cursors": cursor.fetchone()[0]}))
"""


@pytest.mark.parametrize("pooled", ["true", "false"])
def test_behind_a_pooler_a_connection_keeps_no_state(db: None, pooled: str) -> None:
    from django.db import connection

    url = os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{connection.settings_dict['NAME']}"
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "DATABASE_URL": url,
        "DATABASE_PGBOUNCER": pooled,
    }
    result = subprocess.run(
        [sys.executable, "-c", LEFT_BEHIND],
        env=environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == {"prepared": 0, "cursors": 0 if pooled == "true" else 1}


@pytest.fixture(scope="module")
def server(start_server: Callable[..., DataFoldServer]) -> DataFoldServer:
    """With a "replica" that is an empty copy of the schema, and half a second for each statement."""
    replica = create_database(run_folder(), f"replica_{os.getpid()}")
    server = start_server("primary", DATABASE_REPLICA_URL=replica, DATABASE_STATEMENT_TIMEOUT_SECONDS="0.5")
    server.manage("migrate", "--database", "replica", "--verbosity=0")
    return server


def test_a_statement_of_the_web_server_ends_in_time(server: DataFoldServer) -> None:
    signer, caller = Signer("patient"), Caller(server.base_url)
    with psycopg.connect(server.environment["DATABASE_URL"]) as other:
        other.execute("LOCK TABLE accounts_client IN ACCESS EXCLUSIVE MODE")
        refused = assert_refused(caller.register(signer), 503, "SERVICE_UNAVAILABLE")
        other.rollback()
    assert refused["details"]["retry_after"] > 0
    assert_granted(caller.register(signer))
    shown = "from django.db import connection as c; print(c.cursor().execute('SHOW statement_timeout').fetchone())"
    assert "('0',)" in server.manage("shell", "-v0", "-c", shown).stdout  # a command takes its time
    caller.close()


def test_lists_come_from_the_replica_and_everything_else_does_not(server: DataFoldServer) -> None:
    """What comes from the replica shows by what is missing."""
    signer, caller = Signer("replicated"), Caller(server.base_url)
    assert_granted(caller.register(signer))
    server.manage("approve_key", signer.key_id)
    schema = {"name": "orders", "fields": [{"name": "id", "type": "string", "required": True}]}
    assert caller.signed(signer, "POST", "/api/v1/schemas", schema).status_code in (200, 201)
    assert_granted(caller.signed(signer, "GET", "/api/v1/schemas/orders"))
    assert assert_granted(caller.signed(signer, "GET", "/api/v1/schemas"))["data"] == []
    caller.close()


def test_a_replica_that_is_away_is_left_out(start_server: Callable[..., DataFoldServer]) -> None:
    server = start_server(
        "lonely", DATABASE_REPLICA_URL="postgres://nobody@127.0.0.1:1/none?connect_timeout=1"
    )
    signer, caller = Signer("lonely"), Caller(server.base_url)
    assert_granted(caller.register(signer))
    server.manage("approve_key", signer.key_id)
    assert_granted(caller.signed(signer, "GET", "/api/v1/schemas"))
    caller.close()
