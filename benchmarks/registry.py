"""The registry with a thousand schemas and with a hundred thousand, and how fast it takes new ones.

PostgreSQL and Redis run for real. Listing, reading and registering are whole signed requests in this
process: from the WSGI environment to the answer, signing not counted. The two sizes are two databases,
and they take turns. Then eight clients register at once over HTTP, each on its own connection, at a
server with two workers. Verdicts are those of `benchmarks.compatibility`.

    python -m benchmarks.registry --json
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.client import HTTPConnection
from threading import Barrier, Thread
from typing import TYPE_CHECKING, Any

os.environ.setdefault("DATAFOLD_TEST_STACK", "postgres")

from benchmarks.registered_keys import copy_rows, database
from tests.support.server import DataFoldServer
from tests.support.services import create_database, stop_services
from tests.support.signing import SignedRequest, Signer
from tests.support.stack import enter_stack, run_folder

if TYPE_CHECKING:
    from tests.support.client import SignedClient

SIZES = {"1e3": 1_000, "1e5": 100_000}
API = "/api/v1/schemas"
FIELDS = [{"name": f"field_{number}", "type": "string", "required": True} for number in range(10)]
LISTS = {
    "list": "",
    "list, backwards": "?ordering=-name",
    "list by creation": "?ordering=-created_at",
    "list by change": "?ordering=-updated_at",
    "list of an owner": "?owner=copy-7&limit=10",
    "list of a state": "?state=approved",
    "list of a format": "?format=avro&ordering=-created_at",
    "list by rare text": "?q=needle",
    "list by common text": "?q=field_7",
}
CLIENTS = 8
FORMATS = ("fields", "jsonschema", "avro")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=12, help="of each kind in each round")
    parser.add_argument("--registrations", type=int, default=100, help="of each of the eight clients")
    arguments = parser.parse_args()
    try:
        enter_stack()
        results = {
            "registry": measure(arguments),
            "registrations_at_once": register_at_once(arguments.registrations),
            "verdicts_per_second": verdicts(),
        }
    finally:
        stop_services(run_folder())
    print(json.dumps(results, indent=2) if arguments.json else table(results))


# One process, two databases


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    from schemas.reading import forget_all

    prepared = {name: prepare(name, size) for name, size in SIZES.items()}
    times: dict[str, dict[str, list[float]]] = {}
    for number in range(arguments.rounds + 1):
        for size, (url, client) in prepared.items():
            with database(url):
                forget_all()
                for kind, spent in one_round(size, client, number, arguments.requests):
                    if number:  # the first round warms up
                        times.setdefault(kind, {name: [] for name in SIZES})[size].append(spent)
        print(f"round {number} of {arguments.rounds} done", file=sys.stderr)
    figures = {
        kind: {size: round(statistics.median(values), 2) for size, values in sizes.items()}
        for kind, sizes in times.items()
    }
    return {
        "unit": "milliseconds a request",
        **{kind: sizes | {"ratio": round(sizes["1e5"] / sizes["1e3"], 3)} for kind, sizes in figures.items()},
        "caches": "key directory warm; rendered versions warm (read, warm) or emptied before each request; "
        "lists and registrations: none",
    }


def prepare(name: str, size: int) -> tuple[str, SignedClient]:
    """A database with `size` schemas of a hundred owners, and a client that may write."""
    from django.core.management import call_command
    from django.db import connection

    from accounts.models import Client
    from tests.support.client import SignedClient
    from tests.support.registered import register_active

    url = create_database(run_folder(), f"registry_{name}")
    with database(url):
        call_command("migrate", verbosity=0)
        # One for all requests: each brings middleware of its own, which takes longer than a request.
        client = SignedClient(register_active(f"writer-{name}"))
        Client.objects.update(rate_limit=100_000_000)
        send(client, "POST", API, {"name": "template", "fields": FIELDS, "description": "What is copied."})
        send(client, "POST", API, {"name": f"read-{name}", "fields": FIELDS})
        with connection.cursor() as cursor:
            copy_rows(cursor, "accounts_client", 100, {"id": "1000 + n", "client_id": "'copy-' || n"})
            copy_rows(cursor, "schemas_schema", size, SCHEMA_COLUMNS)
            copy_rows(cursor, "schemas_schemaversion", size, {"id": "1000 + n", "schema_id": "1000 + n"})
            for table in ("schemas_schema", "schemas_schemaversion"):
                cursor.execute(f"SELECT setval('{table}_id_seq', 10000000)")
            cursor.execute("VACUUM ANALYZE")
        print(f"{size} schemas registered", file=sys.stderr)
    return url, client


SCHEMA_COLUMNS = {
    "id": "1000 + n",
    "name": "'team-' || mod(n, 500) || '.events-' || n",
    "owner_id": "1001 + mod(n, 100)",
    "state": "(ARRAY['available', 'approved', 'approved', 'deprecated'])[1 + mod(n, 4)]",
    "served_format": "(ARRAY['fields', 'jsonschema', 'avro'])[1 + mod(n, 3)]",
    "search_text": "'team-' || mod(n, 500) || '.events-' || n || CASE n WHEN 500 THEN ' needle ' ELSE ' ' END "
    "|| (SELECT string_agg('field_' || mod(n * 7 + f, 9000), ' ') FROM generate_series(1, 12) AS f)",
    "created_at": "o.created_at - n * interval '1 second'",
    "updated_at": "o.updated_at - mod(n::bigint * 7919, 1000003) * interval '1 second'",
}


def one_round(size: str, client: SignedClient, number: int, requests: int) -> Iterator[tuple[str, float]]:
    """(kind of request, median milliseconds of one in this round) for each kind."""
    from schemas.reading import forget_all

    version = f"{API}/read-{size}/versions/1"
    for kind, query in LISTS.items():
        yield kind, median(partial(_list, client, query), requests)
    yield "read, cold", median(lambda _: send(client, "GET", version), requests, before=forget_all)
    yield "read, warm", median(lambda _: send(client, "GET", version), requests)
    yield (
        "register",
        median(lambda n: send(client, "POST", API, body(f"new-{size}-{number}-{n}")), requests),
    )
    grown = f"{API}/new-{size}-{number}-0/versions"
    yield "add a version", median(lambda n: send(client, "POST", grown, body("", n + 1)), requests)


def _list(client: SignedClient, query: str, _: int) -> float:
    return send(client, "GET", API + query)


def median(call: Callable[[int], float], count: int, before: Callable[[], None] = lambda: None) -> float:
    times = []
    for number in range(count):
        before()
        times.append(call(number))
    return statistics.median(times)


def body(name: str, more: int = 0) -> dict[str, Any]:
    """A schema document, with `more` optional fields."""
    added = [{"name": f"added_{number}", "type": "string"} for number in range(more)]
    return {"fields": [*FIELDS, *added]} | ({"name": name} if name else {})


def send(client: SignedClient, method: str, path: str, json_body: Any = None) -> float:
    """Milliseconds from request to answer."""
    signed = client.signer.sign(method, f"http://testserver{path}", json_body=json_body)
    begun = time.perf_counter()
    answer = client.send(signed)
    spent = time.perf_counter() - begun
    if answer.status_code not in (200, 201):
        raise AssertionError(f"{method} {path}: {answer.content!r}")
    return spent * 1000


# Eight clients over HTTP


def register_at_once(count: int) -> dict[str, Any]:
    """New schemas per second, each with its receipt and its audit event."""
    server = DataFoldServer(
        "registry",
        LOG_LEVEL="WARNING",
        DATAFOLD_REGISTRATION_POLICY="open",
        DATAFOLD_RATE_LIMIT_PER_MINUTE="1000000",
    )
    try:
        signers = [registered(server, f"writer-{number}") for number in range(CLIENTS)]
        names = [[f"at-once-{client}-{number}" for number in range(count)] for client in range(CLIENTS)]
        warm = [[f"warm-{client}-{number}" for number in range(10)] for client in range(CLIENTS)]
        run(server, signers, [[(API, body(name)) for name in each] for each in warm])
        new = run(server, signers, [[(API, body(name)) for name in each] for each in names])
        return {
            "clients": CLIENTS,
            "new_schemas_per_second": round(new, 1),
            "setup": f"2 gunicorn workers, {CLIENTS} connections, {count} registrations each, one machine",
        }
    finally:
        server.stop()


def registered(server: DataFoldServer, client_id: str) -> Signer:
    signer = Signer(client_id)
    sent = json.dumps({"client_id": client_id, "public_key": signer.public_hex}).encode()
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request(
        "POST", "/api/v1/crypto/keys/register", sent, headers={"Content-Type": "application/json"}
    )
    answer = connection.getresponse()
    if answer.status != 200:
        raise AssertionError(answer.read())
    connection.close()
    return signer


def run(server: DataFoldServer, signers: list[Signer], wishes: list[list[tuple[str, Any]]]) -> float:
    """Requests per second of all clients together; each signs its requests before the clock starts."""
    ready, failures = Barrier(len(signers) + 1), list[str]()
    signed = [
        [signer.sign("POST", server.base_url + path, json_body=sent) for path, sent in wish]
        for signer, wish in zip(signers, wishes, strict=True)
    ]
    threads = [Thread(target=_send_all, args=(server.port, each, ready, failures)) for each in signed]
    for thread in threads:
        thread.start()
    ready.wait()
    begun = time.perf_counter()
    for thread in threads:
        thread.join()
    spent = time.perf_counter() - begun
    if failures:
        raise AssertionError(failures[0])
    return sum(len(each) for each in signed) / spent


def _send_all(port: int, requests: list[SignedRequest], ready: Barrier, failures: list[str]) -> None:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.connect()
    ready.wait()
    for request in requests:
        target = request.url.partition(f":{port}")[2]
        connection.request(request.method, target, request.content, request.headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 201:
            failures.append(text.decode())


def verdicts() -> dict[str, float]:
    from benchmarks.compatibility import measure as measure_verdicts

    return {name: measure_verdicts(name)["verdicts_per_second"] for name in FORMATS}


def table(results: dict[str, Any]) -> str:
    lines = ["| | 1,000 schemas | 100,000 schemas | ratio |", "|---|---|---|---|"]
    for kind, figures in results["registry"].items():
        if isinstance(figures, dict):
            lines.append(
                f"| {kind} | {figures['1e3']:.2f} ms | {figures['1e5']:.2f} ms | {figures['ratio']:.2f} |"
            )
    at_once = results["registrations_at_once"]
    lines += ["", f"{at_once['new_schemas_per_second']} new schemas a second; {at_once['setup']}"]
    each = (f"{name} {rate}" for name, rate in results["verdicts_per_second"].items())
    lines += ["", "verdicts a second: " + ", ".join(each)]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
