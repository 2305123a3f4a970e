"""What the one round trip to Redis costs: ``python -m benchmarks.round_trip [--json] [--rounds N]``.

A Redis server is started for the run. Contenders take turns within one run, so that a busy machine slows
all of them alike; figures are medians over rounds, in microseconds. Nothing is cached on any side: every
call sends a new nonce and waits for the answer.

- spend: ``RedisReplayStore.spend``: replay, revocation epoch, rate limit and usage count, one script.
- set_nx_ex: ``redis.Redis.set(name, value, nx=True, ex=330)`` by redis-py with hiredis: a nonce alone.
- set_nx_ex_bare: the same command, packed and sent on a bare connection of redis-py, without its pool,
  its retries and its callbacks: the least that any round trip from Python with redis-py costs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

_CALLS_PER_ROUND = 100


def main() -> int:
    arguments = argparse.ArgumentParser(description="What the one round trip to Redis costs.")
    arguments.add_argument("--json", action="store_true", help="print one JSON object")
    arguments.add_argument("--rounds", type=int, default=60, help="interleaved rounds of 100 calls each")
    options = arguments.parse_args()
    _configure_django()
    from tests.support.services import free_port

    port = free_port()
    with _redis_server(port) as server:
        try:
            report = measure(f"redis://127.0.0.1:{port}/0", options.rounds)
        finally:
            server.terminate()
    print(json.dumps(report, indent=2) if options.json else _table(report))
    return 0


def measure(url: str, rounds: int) -> dict[str, Any]:
    """Run all contenders against the Redis server at `url`."""
    timings = _interleaved(_contenders(url), rounds)
    return {
        "ratio": round(timings["spend"] / timings["set_nx_ex"], 3),
        "ratio_to_bare_connection": round(timings["spend"] / timings["set_nx_ex_bare"], 3),
        "microseconds": {name: round(each, 1) for name, each in timings.items()},
        "caches": dict.fromkeys(timings, "none"),
        "rounds": rounds,
        "calls_per_round": _CALLS_PER_ROUND,
        "python": sys.version.split()[0],
    }


def _contenders(url: str) -> dict[str, Callable[[int], Any]]:
    import redis

    from keys.replay import Outcome, Spend
    from keys.replay.redis import RedisReplayStore

    store = RedisReplayStore(url, timeout=5)
    store.announce_new("benchmark", 1)
    client = redis.Redis.from_url(url)
    connection = redis.ConnectionPool.from_url(url, protocol=2).make_connection()
    connection.connect()

    def spend(number: int) -> None:
        now = time.time()
        spent = store.spend(
            Spend(
                client_id="benchmark",
                epoch=1,
                key_id="0b54a6ee-40f1-4ec6-8d0e-6ed0ca6b7bd3",
                nonce=f"spend-{number:016d}",
                created=int(now),
                clock_skew=30,
                remember_until=now + 330,
                rate_limit=1_000_000_000,
                now=now,
            )
        )
        if spent.outcome is not Outcome.FRESH:
            raise AssertionError(spent)

    def set_nx_ex(number: int) -> None:
        if not client.set(f"df:n:{{benchmark}}:plain-{number:016d}", "1", nx=True, ex=330):
            raise AssertionError("not set")

    def set_nx_ex_bare(number: int) -> None:
        name = f"df:n:{{benchmark}}:bare-{number:016d}"
        connection.send_packed_command(connection.pack_command("SET", name, "1", "NX", "EX", 330))
        if connection.read_response() != b"OK":
            raise AssertionError("not set")

    return {"spend": spend, "set_nx_ex": set_nx_ex, "set_nx_ex_bare": set_nx_ex_bare}


def _interleaved(contenders: dict[str, Callable[[int], Any]], rounds: int) -> dict[str, float]:
    """Median microseconds per call for each contender, measured in turns."""
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    number = 0
    for turn in range(rounds + 2):
        for name, call in contenders.items():
            started = time.perf_counter()
            for each in range(number, number + _CALLS_PER_ROUND):
                call(each)
            elapsed = time.perf_counter() - started
            number += _CALLS_PER_ROUND
            if turn >= 2:  # the first two rounds warm up
                samples[name].append(elapsed / _CALLS_PER_ROUND * 1e6)
    return {name: statistics.median(each) for name, each in samples.items()}


def _redis_server(port: int) -> subprocess.Popen[bytes]:
    import socket

    from tests.support.services import REDIS_SERVER

    server = subprocess.Popen(
        [
            *(REDIS_SERVER, "--port", str(port), "--bind", "127.0.0.1", "--save", ""),
            *("--appendonly", "no", "--maxmemory-policy", "noeviction", "--dir", tempfile.gettempdir()),
        ],
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return server
    raise RuntimeError("redis-server did not start")


def _configure_django() -> None:
    """The store's module imports models; nothing here touches a database."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    os.environ.setdefault("SECRET_KEY", "only-for-benchmarks-" * 3)
    import django

    django.setup()


def _table(report: dict[str, Any]) -> str:
    lines = [f"{name:<16}{each:>8.1f} µs   cache: none" for name, each in report["microseconds"].items()]
    lines.append(f"spend / set_nx_ex: {report['ratio']}")
    lines.append(f"spend / set_nx_ex_bare: {report['ratio_to_bare_connection']}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
