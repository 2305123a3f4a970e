"""What verifying one request costs with a hundred registered keys and with a million.

The shell around the engine as a worker runs it, on PostgreSQL and Redis, in this process: warm (the
key is in the process's directory) and cold (it is read from the database first). The two sizes are
two databases, and they take turns.

    python -m benchmarks.registered_keys --json
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

os.environ.setdefault("DATAFOLD_TEST_STACK", "postgres")

from tests.support.services import create_database, stop_services
from tests.support.stack import enter_stack, run_folder

SIZES = {"1e2": 100, "1e6": 1_000_000}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--requests", type=int, default=400, help="in each round")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    try:
        enter_stack()
        results = measure(arguments)
    finally:
        stop_services(run_folder())
    if arguments.json:
        print(json.dumps(results, indent=2))
    else:
        print("| | 100 keys | 1,000,000 keys | ratio |\n|---|---|---|---|")
        for state in ("warm", "cold"):
            few, many = results[state]["1e2"], results[state]["1e6"]
            print(f"| {state} | {few:.1f} µs | {many:.1f} µs | {many / few:.3f} |")


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    fixtures = {name: prepare(name, size) for name, size in SIZES.items()}
    times: dict[str, dict[str, list[float]]] = {
        state: {name: [] for name in SIZES} for state in ("warm", "cold")
    }
    for number in range(arguments.rounds + 1):
        for name, (url, signer) in fixtures.items():
            with database(url):
                for state in times:
                    microseconds = one_round(signer, arguments.requests, cold=state == "cold")
                    if number:
                        times[state][name].append(microseconds)
        print(f"round {number} of {arguments.rounds} done", file=sys.stderr)
    medians = {
        state: {name: round(statistics.median(values), 1) for name, values in sizes.items()}
        for state, sizes in times.items()
    }
    ratios = {f"{state}_ratio": round(sizes["1e6"] / sizes["1e2"], 3) for state, sizes in medians.items()}
    return {
        **medians,
        **ratios,
        "unit": "microseconds a request, median",
        "caches": "directory on (warm), emptied before each request (cold); memo of signatures on, never hit",
    }


def prepare(name: str, size: int) -> tuple[str, Any]:
    """A database with `size` registered keys and a client that can sign."""
    from django.core.management import call_command
    from django.db import connection

    from accounts.models import Client
    from tests.support.registered import register_active

    url = create_database(run_folder(), f"registered_{name}")
    with database(url):
        call_command("migrate", verbosity=0)
        signer = register_active(f"signer-{name}")
        Client.objects.update(rate_limit=100_000_000)
        with connection.cursor() as cursor:
            copy_rows(cursor, "accounts_client", size, {"id": "1000 + n", "client_id": "'copy-' || n"})
            copy_rows(
                cursor,
                "keys_key",
                size,
                {
                    "id": "gen_random_uuid()",
                    "client_id": "1000 + n",
                    "thumbprint": "left(md5('a' || n) || md5('b' || n), 43)",
                    "fingerprint": "md5('c' || n) || md5('d' || n)",
                },
            )
            cursor.execute("ANALYZE")
        print(f"{size} keys registered", file=sys.stderr)
    return url, signer


def copy_rows(cursor: Any, table: str, size: int, different: dict[str, str]) -> None:
    """`size` copies of the table's one row, with other values in the columns that must differ."""
    cursor.execute("SELECT column_name FROM information_schema.columns WHERE table_name = %s", [table])
    columns = [row[0] for row in cursor.fetchall()]
    values = ", ".join(different.get(column, f'o."{column}"') for column in columns)
    names = ", ".join(f'"{column}"' for column in columns)
    cursor.execute(
        f"INSERT INTO {table} ({names}) SELECT {values} FROM generate_series(1, %s) AS n, "
        f"(SELECT * FROM {table} LIMIT 1) AS o",
        [size],
    )


@contextmanager
def database(url: str) -> Iterator[None]:
    """Point this process's default connection at the database."""
    import dj_database_url
    from django.db import connections

    from keys.directory import directory

    connection = connections["default"]
    connection.close()
    connection.settings_dict.update(dj_database_url.parse(url))
    connection.settings_dict.update(CONN_MAX_AGE=None, CONN_HEALTH_CHECKS=False)
    directory().clear()
    yield
    connection.close()


def one_round(signer: Any, count: int, *, cold: bool) -> float:
    """The median microseconds of `count` fresh requests, verified one after the other."""
    from keys.directory import directory
    from keys.verification import verify_request

    requests = [http_request(signer) for _ in range(count)]
    spent = []
    for request in requests:
        if cold:
            directory().clear()
        started = time.perf_counter()
        verify_request(request)
        spent.append(time.perf_counter() - started)
    return statistics.median(spent) * 1e6


def http_request(signer: Any) -> Any:
    from django.test import RequestFactory

    target = "/api/v1/auth/me"
    signed = signer.sign("GET", "http://testserver" + target, tag="datafold")
    return RequestFactory().get(target, headers=signed.headers | {"Host": "testserver"}, RAW_URI=target)


if __name__ == "__main__":
    main()
