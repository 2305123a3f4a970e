"""What a request costs where there is little and where there is much of keys, audit events or schemas.

Whole requests in this process, from the WSGI environment to the answer; signing is not counted. The two sizes are
two databases on one PostgreSQL, filled by SQL, and they take turns round by round.
"""

from __future__ import annotations

import secrets
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks import registered_keys, registry
from benchmarks.load.mix import FIELDS, REGISTER, SCHEMAS
from benchmarks.load.stack import say
from benchmarks.registered_keys import database
from tests.support.services import create_database
from tests.support.signing import Signer
from tests.support.stack import enter_stack, run_folder

if TYPE_CHECKING:
    from tests.support.client import SignedClient

REQUESTS = 15  # of each kind in each round
CHUNK = 1_000_000
FEW = 1_000
MIN_FREE_BYTES_PER_EVENT = 1200


class Most(NamedTuple):
    """How many there are of each in the large databases."""

    keys: int = 1_000_000
    schemas: int = 100_000
    audit_events: int = 10_000_000


@dataclass
class Filled:
    """A database of one size, and clients for it."""

    url: str
    client: SignedClient
    extra: Any = None  # a path that exists in it, or an operator's client


Call = Callable[[Filled, str], float]
Dimension = tuple[str, dict[str, Filled], dict[str, Call]]


def measure(most: Most, rounds: int) -> str:
    enter_stack()
    from django.conf import settings

    settings.DATAFOLD_REGISTRATION_RATE = "1000000/minute"
    lines = [
        "## Growth",
        "",
        "Milliseconds of one request, medians over rounds in which the two sizes take turns; one process, "
        "PostgreSQL and Redis. Warm: the key is in the process's directory, the version in its cache.",
    ]
    for name, filled, calls in dimensions(most):
        few, many = filled
        lines += ["", f"| {name} | {few} | {many} | ratio |", "|---|---|---|---|"]
        for kind, times in alternate(filled, calls, rounds).items():
            lines.append(
                f"| {kind} | {times[few]:.2f} | {times[many]:.2f} | {times[many] / times[few]:.2f} |"
            )
            say(lines[-1])
        _drop(filled)
    return "\n".join(lines)


def dimensions(most: Most) -> Iterator[Dimension]:
    yield (
        "registered keys",
        {f"{size:,}": with_keys(size) for size in (FEW, most.keys)},
        {"signed read, warm": _read_me, "signed read, key not cached": _read_cold, "registration": _register},
    )
    yield (
        "schemas",
        {f"{size:,}": with_schemas(size) for size in (FEW, most.schemas)},
        {
            "signed read of a version, warm": _read_version,
            "signed read of a version, not cached": _read_version_cold,
            "list": _list,
            "new schema": _write,
        },
    )
    yield (
        "audit events",
        {f"{size:,}": with_events(size) for size in (FEW, most.audit_events)},
        {
            "new schema (appends an event)": _write,
            "registration (appends an event)": _register,
            "operator: newest events": _newest_events,
            "operator: events about one target": _target_events,
        },
    )


def alternate(filled: dict[str, Filled], calls: dict[str, Call], rounds: int) -> dict[str, dict[str, float]]:
    times: dict[str, dict[str, list[float]]] = {kind: {size: [] for size in filled} for kind in calls}
    for number in range(rounds + 1):
        for size, each in filled.items():
            with database(each.url):
                for kind, call in calls.items():
                    spent = statistics.median(call(each, f"{number}-{turn}") for turn in range(REQUESTS))
                    if number:  # the first round warms up
                        times[kind][size].append(spent)
    return {
        kind: {size: statistics.median(values) for size, values in sizes.items()}
        for kind, sizes in times.items()
    }


# --- Databases ------------------------------------------------------------------------------------------------------


def with_keys(size: int) -> Filled:
    from tests.support.client import SignedClient

    url, signer = registered_keys.prepare(f"growth_{size}", size)
    return Filled(url, SignedClient(signer))


def with_schemas(size: int) -> Filled:
    url, client = registry.prepare(f"growth_{size}", size)
    return Filled(url, client, f"{SCHEMAS}/read-growth_{size}/versions/1")


def with_events(size: int) -> Filled:
    """Events as they look in life, about five thousand targets, inserted a million at a time."""
    from django.contrib.auth.models import Group
    from django.core.management import call_command
    from django.db import connection

    from accounts.models import AuditEvent, Client, User
    from tests.support.client import SignedClient, WireClient
    from tests.support.registered import register_active

    _refuse_if_full(size)
    url = create_database(run_folder(), f"growth_events_{size}")
    with database(url):
        call_command("migrate", verbosity=0)
        client = SignedClient(register_active(f"writer-{size}"))
        Client.objects.update(rate_limit=100_000_000)
        operator = User.objects.create_user("growth", is_staff=True)
        operator.groups.add(Group.objects.get(name="auditor"))
        console = WireClient()
        console.force_login(operator, backend="allauth.account.auth_backends.AuthenticationBackend")
        begun, first = time.perf_counter(), AuditEvent.objects.count()
        with connection.cursor() as cursor, _without_indexes(cursor, "accounts_auditevent"):
            for start in range(first, size, CHUNK):
                cursor.execute(EVENTS, [start, min(start + CHUNK, size) - 1])
                say(f"  {min(start + CHUNK, size):,} events after {time.perf_counter() - begun:.0f} s")
        with connection.cursor() as cursor:
            cursor.execute("SELECT setval('accounts_auditevent_id_seq', 1000000000)")
            cursor.execute("VACUUM ANALYZE accounts_auditevent")
        say(f"  indexed after {time.perf_counter() - begun:.0f} s")
    return Filled(url, client, console)


@contextmanager
def _without_indexes(cursor: Any, table: str) -> Iterator[None]:
    """Made again in the end, which is quicker than keeping them up to date; those of constraints stay."""
    cursor.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s "
        "AND indexname NOT IN (SELECT conname FROM pg_constraint)",
        [table],
    )
    indexes = cursor.fetchall()
    for name, _ in indexes:
        cursor.execute(f'DROP INDEX "{name}"')
    yield
    cursor.execute("SET maintenance_work_mem = '256MB'")
    for _, definition in indexes:
        cursor.execute(definition)


EVENTS = """
INSERT INTO accounts_auditevent (id, created_at, actor_kind, actor_id, actor_label, actor_key, action, target_kind,
    target_id, target_label, before, after, reason, request_id, address)
SELECT 1000000 + n, now() - (20000000 - n) * interval '1 second', 'client', 'client-' || n %% 997,
    'client-' || n %% 997, lpad((n %% 997)::text, 43, '0'), 'schema.version_added', 'schema', (n %% 5003)::text,
    'orders', NULL, jsonb_build_object('number', n, 'fingerprint', md5(n::text) || md5((n + 1)::text)), '',
    md5(n::text), '192.0.2.1'
FROM generate_series(%s, %s) AS n
"""


def _refuse_if_full(size: int) -> None:
    import shutil

    free, wanted = shutil.disk_usage(run_folder()).free, size * MIN_FREE_BYTES_PER_EVENT
    if free < wanted:
        raise SystemExit(
            f"{size:,} audit events take about {wanted / 1e9:.0f} GB and {free / 1e9:.0f} GB are free: --audit-events."
        )


def _drop(filled: dict[str, Filled]) -> None:
    """Disk for what comes next."""
    import psycopg

    from tests.support.services import running_services

    sockets = running_services(run_folder()).postgres_socket
    with psycopg.connect(host=sockets, user="postgres", autocommit=True) as connection:
        for each in filled.values():
            connection.execute(f'DROP DATABASE "{each.url.rpartition("/")[2]}" WITH (FORCE)'.encode())


# --- Calls: milliseconds of one request ------------------------------------------------------------------------------


def _signed(filled: Filled, method: str, path: str, body: Any = None, status: int = 200) -> float:
    request = filled.client.signer.sign(method, f"http://testserver{path}", json_body=body, tag="datafold")
    begun = time.perf_counter()
    answer = filled.client.send(request)
    spent = time.perf_counter() - begun
    assert answer.status_code == status, answer.content
    return spent * 1000


def _read_me(filled: Filled, turn: str) -> float:
    return _signed(filled, "GET", "/api/v1/auth/me")


def _read_cold(filled: Filled, turn: str) -> float:
    from keys.directory import directory

    directory().clear()
    return _signed(filled, "GET", "/api/v1/auth/me")


def _register(filled: Filled, turn: str) -> float:
    signer = Signer(f"grown-{turn}-{secrets.token_hex(4)}")
    body = {"client_id": signer.key_id, "public_key": signer.public_hex}
    begun = time.perf_counter()
    answer = filled.client.post(REGISTER, body, content_type="application/json")
    spent = time.perf_counter() - begun
    assert answer.status_code == 200, answer.content
    return spent * 1000


def _read_version(filled: Filled, turn: str) -> float:
    return _signed(filled, "GET", filled.extra)


def _read_version_cold(filled: Filled, turn: str) -> float:
    from schemas.reading import forget_all

    forget_all()
    return _signed(filled, "GET", filled.extra)


def _list(filled: Filled, turn: str) -> float:
    return _signed(filled, "GET", SCHEMAS)


def _write(filled: Filled, turn: str) -> float:
    return _signed(filled, "POST", SCHEMAS, {"name": f"grown-{turn}", "fields": FIELDS}, 201)


def _newest_events(filled: Filled, turn: str) -> float:
    return _console(filled, "/api/v1/operators/audit/events")


def _target_events(filled: Filled, turn: str) -> float:
    return _console(filled, "/api/v1/operators/audit/events?target_kind=schema&target_id=77")


def _console(filled: Filled, path: str) -> float:
    begun = time.perf_counter()
    answer = filled.extra.get(path)
    spent = time.perf_counter() - begun
    assert answer.status_code == 200, answer.content
    return spent * 1000
