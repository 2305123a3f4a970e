"""Requests per second over HTTP: signed against unsigned, and against how others authenticate.

gunicorn, PostgreSQL and Redis run for real; wrk asks. The variants take turns, round after round,
and each figure is the median of its rounds. A round in which one gunicorn worker did nearly all
the work is thrown away and repeated, and after five of them there is no figure at all.

The processor time that a request takes on the servers' side (workers, Redis and PostgreSQL) is told
besides: other work on the machine does not add to it.

    python -m benchmarks.throughput --json
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("DATAFOLD_TEST_STACK", "postgres")

import psutil
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support.server import DataFoldServer
from tests.support.services import running_services, stop_services
from tests.support.signing import Signer
from tests.support.stack import run_folder

THREADS = 2
FIELDS = [{"name": f"field_{number}", "type": "string", "required": True} for number in range(10)]
Headers = Callable[[str], dict[str, str]]

TITLES = {
    "signed": "DataFold, signed GET of a schema version",
    "open": "the same view without authentication, limited by address",
    "bare": "the same view without authentication or limit",
    "plain": "plain DRF view without authentication, one row",
    "token": "DRF TokenAuthentication",
    "hs256": "simplejwt, HS256",
    "eddsa": "simplejwt's backend, EdDSA",
    "apikey": "djangorestframework-api-key",
    "library": "http-message-signatures, key and nonce in the database",
}

CACHES = {
    "signed": "rendered versions and key directory on; memo of signatures on, never hit: each request is new",
    "open": "rendered versions on",
    "bare": "rendered versions on",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=int, default=4, help="of each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--only", default="", help="comma-separated variants")
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed; it comes with the distribution's packages.")
    names = arguments.only.split(",") if arguments.only else list(TITLES)
    try:
        server = DataFoldServer(
            "throughput", DJANGO_SETTINGS_MODULE="benchmarks.site.settings", LOG_LEVEL="WARNING"
        )
        try:
            results = measure(server, names, arguments)
        finally:
            server.stop()
    finally:
        stop_services(run_folder())
    print(json.dumps(results, indent=2) if arguments.json else table(results))


def measure(server: DataFoldServer, names: list[str], arguments: argparse.Namespace) -> dict[str, Any]:
    facts = prepare(server)
    variants = requests_of(server, facts)
    rates: dict[str, list[float]] = {name: [] for name in names}
    latencies: dict[str, list[int]] = {name: [] for name in names}
    processor: dict[str, list[float]] = {name: [] for name in names}
    for number in range(arguments.rounds + 1):
        for name in names:
            result = balanced_round(server, variants[name], arguments)
            if number == 0:
                continue  # warms caches and connections
            rates[name].append(result["requests"] / result["seconds"])
            latencies[name].append(result["p50_us"])
            processor[name].append(result["processor_seconds"] / result["requests"] * 1e6)
        print(f"round {number} of {arguments.rounds} done", file=sys.stderr)
    median = {name: statistics.median(values) for name, values in rates.items()}
    microseconds = {name: round(statistics.median(values)) for name, values in processor.items()}
    return {
        "requests_per_second": {name: round(value, 1) for name, value in median.items()},
        "p50_ms": {name: round(statistics.median(values) / 1000, 2) for name, values in latencies.items()},
        "signed_over": {
            name: round(median["signed"] / median[name], 3)
            for name in names
            if "signed" in median and name != "signed"
        },
        "processor_us_per_request": microseconds,
        "signed_over_by_processor_time": {
            name: round(microseconds[name] / microseconds["signed"], 3)
            for name in names
            if "signed" in median and name != "signed"
        },
        "caches": {name: CACHES.get(name, "none") for name in names},
        "setup": f"2 gunicorn workers, 4 threads each, {arguments.connections} kept-alive connections, wrk on the "
        "same machine",
    }


def prepare(server: DataFoldServer) -> dict[str, Any]:
    """The rows and credentials, and one schema version written by a signed request."""
    server.manage("migrate", "--run-syncdb", "--verbosity=0")
    seeded = subprocess.run(
        [sys.executable, "-m", "benchmarks.site.seed"],
        env=server.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if seeded.returncode:
        sys.exit(seeded.stderr)
    facts: dict[str, Any] = json.loads(seeded.stdout.splitlines()[-1])
    facts["signer"] = Signer(
        "bench", Ed25519PrivateKey.from_private_bytes(bytes.fromhex(facts["private_key"]))
    )
    import httpx

    signed = facts["signer"].sign(
        "POST", f"{server.base_url}/api/v1/schemas", json_body={"name": "bench", "fields": FIELDS}
    )
    answer = httpx.post(signed.url, content=signed.content, headers=signed.headers, trust_env=False)
    if answer.status_code >= 300:
        sys.exit(f"the schema was not written: {answer.text}")
    return facts


def requests_of(
    server: DataFoldServer, facts: dict[str, Any]
) -> dict[str, tuple[str, Headers | None, dict[str, str]]]:
    """For each variant: its path, how to sign one request (or None), and its constant header fields."""
    signer: Signer = facts["signer"]

    def signed(path: str) -> dict[str, str]:
        return signer.sign("GET", server.base_url + path, tag="datafold").headers

    def bearer(scheme: str, value: str) -> dict[str, str]:
        return {"Authorization": f"{scheme} {value}"}

    return {
        "signed": ("/api/v1/schemas/bench/versions/1", signed, {}),
        "open": ("/open/bench/versions/1", None, {}),
        "bare": ("/bare/bench/versions/1", None, {}),
        "plain": ("/plain/bench/1", None, {}),
        "token": ("/token/bench/1", None, bearer("Token", facts["token"])),
        "hs256": ("/hs256/bench/1", None, bearer("Bearer", facts["hs256"])),
        "eddsa": ("/eddsa/bench/1", None, bearer("Bearer", facts["eddsa"])),
        "apikey": ("/apikey/bench/1", None, bearer("Api-Key", facts["api_key"])),
        "library": ("/library/bench/1", signed, {}),
    }


def balanced_round(
    server: DataFoldServer, variant: tuple[str, Headers | None, dict[str, str]], arguments: argparse.Namespace
) -> dict[str, Any]:
    for _ in range(5):
        before, stores_before = worker_seconds(server), stores_seconds()
        result = one_round(server, variant, arguments)
        after, stores_after = worker_seconds(server), stores_seconds()
        shares = [after[pid] - before.get(pid, 0) for pid in after]
        if max(shares) <= 0.8 * sum(shares):
            return {**result, "processor_seconds": sum(shares) + stores_after - stores_before}
        print("one worker had nearly all connections: repeated", file=sys.stderr)
    sys.exit(f"{variant[0]}: in five rounds one worker had nearly all connections; no figure comes of that")


def one_round(
    server: DataFoldServer, variant: tuple[str, Headers | None, dict[str, str]], arguments: argparse.Namespace
) -> dict[str, Any]:
    path, sign, constant = variant
    count = 1 if sign is None else arguments.seconds * 4000
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
        for _ in range(max(count, THREADS)):
            headers = constant | (sign(path) if sign else {})
            file.write("\t".join(f"{name}\t{value}" for name, value in headers.items()) + "\n")
        file.flush()
        run = subprocess.run(
            [
                "wrk",
                f"-t{THREADS}",
                f"-c{arguments.connections}",
                f"-d{arguments.seconds}s",
                "--latency",
                "-s",
                str(Path(__file__).parent / "site" / "requests.lua"),
                server.base_url,
                "--",
                path,
                file.name,
                str(THREADS),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    line = next((line for line in run.stdout.splitlines() if line.startswith("RESULT ")), "")
    if not line:
        sys.exit(f"wrk failed ({run.returncode}): {run.stdout}{run.stderr}")
    result: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
    if result["refused"]:
        sys.exit(f"{path}: {result['refused']} of {result['requests']} were refused")
    time.sleep(0.2)  # the sockets of this round close before the next one starts
    return result


def worker_seconds(server: DataFoldServer) -> dict[int, float]:
    """Processor time of each gunicorn worker so far."""
    workers = server.arbiter.children()
    return {worker.pid: sum(worker.cpu_times()[:2]) for worker in workers}


def stores_seconds() -> float:
    """Processor time of Redis and PostgreSQL so far."""
    services = running_services(run_folder())
    postgres = psutil.Process(services.postgres_pid)
    # Of PostgreSQL's process with its children that have ended, and of those that live.
    return (
        sum(psutil.Process(services.redis_pid).cpu_times()[:2])
        + sum(postgres.cpu_times()[:4])
        + sum(sum(backend.cpu_times()[:2]) for backend in postgres.children())
    )


def table(results: dict[str, Any]) -> str:
    lines = [
        "| | requests/s | median ms | signed is | processor µs | signed is | cache |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, rate in results["requests_per_second"].items():
        ratios = [results[kind].get(name) for kind in ("signed_over", "signed_over_by_processor_time")]
        over, over_by_processor = (f"{ratio:.2f}×" if ratio else "" for ratio in ratios)
        lines.append(
            f"| {TITLES[name]} | {rate:.0f} | {results['p50_ms'][name]} | {over} "
            f"| {results['processor_us_per_request'][name]} | {over_by_processor} | {results['caches'][name]} |"
        )
    return "\n".join([*lines, "", f"Setup: {results['setup']}."])


if __name__ == "__main__":
    main()
