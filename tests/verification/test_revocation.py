"""What was decided holds for every worker process from the next request after the commit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from accounts.models import Client
from keys.directory import directory
from keys.epochs import advance
from keys.replay import replay_store
from project.context import RequestContext, use_context
from tests.replay.redis_server import Cable, RedisServer
from tests.support.client import WireClient
from tests.support.registered import register_active
from tests.support.server import DataFoldServer
from tests.support.signing import Signer
from tests.support.stack import new_folder
from tests.verification.server_clients import add_clients, decide
from tests.verification.wire import Answer, me, send

pytestmark = pytest.mark.on_postgres

NAMES = ("revoked", "key-suspended", "client-suspended", "rescoped", "narrowed", "pending", "kept")


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer(new_folder("redis-"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def workers(
    start_server: Callable[..., DataFoldServer], redis_server: RedisServer
) -> tuple[DataFoldServer, DataFoldServer]:
    """Two servers of one worker process each, on one database and one Redis: each request's worker is known.

    Cached records live for an hour: what is noticed at once is not noticed because they ran out.
    """
    common = {"WORKERS": "1", "REDIS_URL": redis_server.url, "DATAFOLD_DIRECTORY_TTL_SECONDS": "3600"}
    first = start_server("worker-a", **common)
    return first, start_server("worker-b", **common, DATABASE_URL=first.environment["DATABASE_URL"])


@pytest.fixture(scope="module")
def signers(workers: tuple[DataFoldServer, DataFoldServer]) -> dict[str, Signer]:
    return add_clients(workers[0], *(name for name in NAMES if name != "pending")) | add_clients(
        workers[0], "pending", approve=False
    )


def ask_both(workers: tuple[DataFoldServer, DataFoldServer], signer: Signer, path: str) -> list[Answer]:
    return [send(worker, signer.sign("GET", f"{worker.base_url}{path}")) for worker in workers]


DECISIONS = {
    "revoked": (
        "lifecycle.revoke(key('revoked'), actor=actor, revocation_reason='keyCompromise', reason='test')",
        "KEY_REVOKED",
    ),
    "key-suspended": ("lifecycle.suspend(key('key-suspended'), actor=actor, reason='t')", "KEY_NOT_ACTIVE"),
    "client-suspended": (
        "suspend_client(client('client-suspended'), actor=actor, reason='t')",
        "CLIENT_SUSPENDED",
    ),
    "rescoped": (
        "change_client(client('rescoped'), actor=actor, changes={'scopes': ['keys:rotate']}, reason='t')",
        "SCOPE_MISSING",
    ),
    "narrowed": (
        "change_client(client('narrowed'), actor=actor, changes={'allowed_networks': ['10.0.0.0/8']}, reason='t')",
        "NETWORK_NOT_ALLOWED",
    ),
}


def test_every_worker_knows_from_the_next_request(
    workers: tuple[DataFoldServer, DataFoldServer], signers: dict[str, Signer]
) -> None:
    path = "/api/v1/schemas"
    for name in DECISIONS:
        for _ in range(2):
            assert [answer.status for answer in ask_both(workers, signers[name], path)] == [200, 200], name
    assert [answer.code for answer in ask_both(workers, signers["pending"], path)] == ["KEY_NOT_ACTIVE"] * 2

    approval = "lifecycle.approve(key('pending'), actor=actor)"
    decide(workers[0], approval, *(decision for decision, _ in DECISIONS.values()))

    for name, (_, code) in DECISIONS.items():
        refused = ask_both(workers, signers[name], path)
        assert [(answer.status, answer.code) for answer in refused] == [(403, code)] * 2, name
    assert [answer.status for answer in ask_both(workers, signers["pending"], path)] == [200, 200]


def test_a_nonce_spent_at_one_worker_is_spent_at_all(
    workers: tuple[DataFoldServer, DataFoldServer], signers: dict[str, Signer]
) -> None:
    first, second = workers
    signed = me(first, signers["kept"])
    assert send(first, signed).status == 200
    assert send(second, signed, host=f"127.0.0.1:{first.port}").code == "NONCE_REUSED"


def test_a_decision_of_a_process_that_died_before_it_was_announced_is_noticed(
    workers: tuple[DataFoldServer, DataFoldServer], signers: dict[str, Signer]
) -> None:
    """It dies between the commit and the second announcement."""
    path = "/api/v1/auth/me"
    assert [answer.status for answer in ask_both(workers, signers["kept"], path)] == [200, 200]
    result = workers[0].manage(
        "shell",
        "--no-imports",
        "-c",
        "import os\n"
        "from django.db import transaction\n"
        "from accounts.audit import Actor\n"
        "from accounts.clients import suspend_client\n"
        "from accounts.models import Client\n"
        "with transaction.atomic():\n"
        "    transaction.on_commit(lambda: os._exit(9))\n"
        "    suspend_client(Client.objects.get(client_id='kept'), actor=Actor.system('tests'), reason='t')\n",
        check=False,
    )
    assert result.returncode == 9, result.stderr
    assert [answer.code for answer in ask_both(workers, signers["kept"], path)] == ["CLIENT_SUSPENDED"] * 2


@pytest.mark.django_db
@pytest.mark.parametrize("away", ["before", "after"])
def test_one_announcement_of_the_two_is_enough(settings: Any, redis_server: RedisServer, away: str) -> None:
    cable = Cable(redis_server.port)
    settings.REDIS_URL = cable.url
    register_active(f"half-told-{away}")
    client = Client.objects.get(client_id=f"half-told-{away}")
    with use_context(RequestContext()) as context:
        if away == "before":
            cable.pull()
        with transaction.atomic():
            advance(client)
            cable.plug_in() if away == "before" else cable.pull()
    cable.plug_in()
    assert context.warnings == []
    assert not replay_store().is_current(client.client_id, client.epoch - 1)
    cable.close()


# --- No database on the hot path ------------------------------------------------------------------------------


@pytest.fixture
def on_redis(settings: Any, tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    settings.REDIS_URL = server.url
    yield server
    server.stop()


@pytest.mark.django_db
def test_a_signed_request_asks_the_database_nothing(
    on_redis: RedisServer, client: WireClient, django_assert_num_queries: Any
) -> None:
    signer = register_active("hot-path")
    call = "http://testserver/api/v1/auth/me"
    assert client.send(signer.sign("GET", call)).status_code == 200
    with django_assert_num_queries(0):
        for _ in range(5):
            assert client.send(signer.sign("GET", call)).status_code == 200


@pytest.mark.django_db
def test_a_flood_of_wrong_signatures_asks_the_database_nothing(
    on_redis: RedisServer, client: WireClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    signer = register_active("flooded")
    assert client.send(signer.sign("GET", "http://testserver/api/v1/auth/me")).status_code == 200
    forger = Signer("flooded")
    from keys import refusals

    monkeypatch.setattr(refusals.RefusalBuffer, "flush_in_time", lambda self: None)
    with CaptureQueriesContext(connection) as queries:
        for _ in range(10):
            assert client.send(forger.sign("GET", "http://testserver/api/v1/auth/me")).status_code == 401
    assert [query["sql"] for query in queries] == []
    refusals.forget()


@pytest.mark.django_db
def test_whether_a_record_is_out_of_date_is_asked_only_where_that_could_help(
    on_redis: RedisServer, client: WireClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from keys import verification

    signer, call = register_active("careless"), "http://testserver/api/v1/auth/me"
    asked: list[object] = []
    monkeypatch.setattr(verification, "_has_changed", asked.append)
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    hopeless = [signer.sign("GET", call, created=long_ago), signer.sign("GET", call, covered=["@method"])]
    assert [client.send(signed).status_code for signed in hopeless] == [401, 401]
    assert asked == []
    nine_minutes_ago = datetime.now(UTC) - timedelta(minutes=9)  # fresh for the profile "lenient"
    assert client.send(signer.sign("GET", call, created=nine_minutes_ago)).status_code == 401
    assert client.send(Signer("careless").sign("GET", call)).status_code == 401  # a key approved elsewhere?
    assert len(asked) == 2


@pytest.mark.django_db
def test_a_client_whose_memory_redis_lost_is_read_again_and_asked_to_sign_again(
    on_redis: RedisServer, client: WireClient
) -> None:
    signer = register_active("forgotten")
    call = "http://testserver/api/v1/auth/me"
    assert client.send(signer.sign("GET", call)).status_code == 200
    on_redis.client().flushall()
    refused = client.send(signer.sign("GET", call))
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "REPLAY_CHECK_UNAVAILABLE"
    assert 30 <= int(refused["Retry-After"]) <= 34
    directory().clear()


@pytest.mark.django_db
def test_without_redis_nothing_passes(on_redis: RedisServer, client: WireClient) -> None:
    signer = register_active("stranded")
    call = "http://testserver/api/v1/auth/me"
    assert client.send(signer.sign("GET", call)).status_code == 200
    on_redis.stop()
    for _ in range(3):
        refused = client.send(signer.sign("GET", call))
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "REPLAY_CHECK_UNAVAILABLE")
        assert refused["Retry-After"] == "1"
