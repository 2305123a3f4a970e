"""What one request costs each part, and what follows for many more of them: the figures of docs/scaling.md."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import psutil
import psycopg
import redis

from benchmarks.load.mix import SHARES, Presigner
from benchmarks.load.openloop import OpenLoop
from benchmarks.load.stack import Stack, Usage, say, stack
from tests.support.services import Services

PARTS = ("web", "PostgreSQL", "Redis")
AT_MOST_PER_SECOND = 2500
SPENDS = 20_000
REMEMBERED_SECONDS = 330  # window and skew of the standard profile
BUSY = 0.6  # of a processor: what is left is for peaks and for the loss of a node
RATES = (100_000, 1_000_000)
WRITES = 0.01
CORES_PER_SERVER = 16
CLIENTS = 100_000  # that sign within the time for which a record is kept
KEPT_SECONDS = (10, 3600)  # DATAFOLD_DIRECTORY_TTL_SECONDS: as it is, and as it may be


@dataclass(frozen=True)
class Units:
    """
    Attributes:
        milliseconds: of a core, by kind of request and part.
        spend_microseconds: of a core of Redis, for one run of the nonce's script.
        nonce_bytes: of Redis' memory, for one nonce that is remembered.
        event_bytes: on PostgreSQL's disk for one audit event with its indexes.
        write_bytes, wal_bytes: all that one new schema takes there, and in the log.
    """

    milliseconds: dict[str, dict[str, float]]
    spend_microseconds: float
    nonce_bytes: float
    event_bytes: float
    write_bytes: float
    wal_bytes: float


def measure(parts: Services, seconds: float) -> Units:
    with stack("units", parts, WORKERS="2", THREADS="4") as site:
        presigner = Presigner(site.site)
        milliseconds = {
            kind: _cost(site, presigner, kind, seconds) for kind in ("read", "registration", "refusal")
        }
        before = _disk(site)
        milliseconds["write"] = _cost(site, presigner, "write", seconds)
        presigner.close()
        after = _disk(site)
        spend, nonce = _redis(parts)
    writes = after["schemas"] - before["schemas"]
    return Units(
        milliseconds,
        spend,
        nonce,
        event_bytes=after["event_bytes"] / after["events"],
        write_bytes=(after["bytes"] - before["bytes"]) / writes,
        wal_bytes=(after["wal"] - before["wal"]) / writes,
    )


def _cost(site: Stack, presigner: Presigner, kind: str, seconds: float) -> dict[str, float]:
    """Core milliseconds of each part for one request of `kind`."""
    planned = presigner.sign(int(seconds * AT_MOST_PER_SECOND), {kind: 1.0})
    usage = Usage(site)
    outcome = OpenLoop(site.address, connections=16).flat_out(planned, seconds)
    cores = usage.cores()
    if outcome.unexpected:
        raise SystemExit(f"{kind}: {dict(outcome.unexpected)}")
    found = {part: cores[part] / outcome.rate * 1000 for part in PARTS}
    say(
        f"{kind}: {outcome.rate:.0f}/s, " + ", ".join(f"{part} {each:.3f} ms" for part, each in found.items())
    )
    return found


def _disk(site: Stack) -> dict[str, float]:
    with psycopg.connect(site.server.environment["DATABASE_URL"]) as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM schemas_schema), (SELECT count(*) FROM accounts_auditevent), "
            "pg_total_relation_size('accounts_auditevent'), pg_database_size(current_database()), "
            "pg_current_wal_lsn() - '0/0'::pg_lsn"
        ).fetchone()
    assert row is not None
    return dict(zip(("schemas", "events", "event_bytes", "bytes", "wal"), map(float, row), strict=True))


def _redis(parts: Services) -> tuple[float, float]:
    """(microseconds of Redis' processor, bytes of its memory) for one nonce spent by one caller after the other."""
    from tests.support.stack import enter_stack

    enter_stack()
    from keys.replay import Spend
    from keys.replay.redis import RedisReplayStore

    url, process = parts.redis_url(63), psutil.Process(parts.redis_pid)
    client: Any = redis.Redis.from_url(url)
    store, now = RedisReplayStore(url, timeout=5), time.time()
    store.announce_new("units", 1)
    memory, spent = client.info()["used_memory"], sum(process.cpu_times()[:2])
    for number in range(SPENDS):
        store.spend(
            Spend(
                client_id="units",
                epoch=1,
                key_id="0b54a6ee-40f1-4ec6-8d0e-6ed0ca6b7bd3",
                nonce=f"{number:024d}",
                created=int(now),
                clock_skew=30,
                remember_until=now + REMEMBERED_SECONDS,
                rate_limit=1_000_000_000,
                now=now,
            )
        )
    spent = sum(process.cpu_times()[:2]) - spent
    return spent / SPENDS * 1e6, (client.info()["used_memory"] - memory) / SPENDS


# --- Report ---------------------------------------------------------------------------------------------------------


def section(units: Units) -> str:
    """What was measured; for docs/load.md."""
    lines = [
        "## What one request costs",
        "",
        "Milliseconds of one core, by part, with two processes and all of sixteen connections busy:",
        "",
        "| | web | PostgreSQL | Redis |",
        "|---|---|---|---|",
    ]
    for kind in SHARES:
        each = units.milliseconds[kind]
        lines.append(f"| {kind} | " + " | ".join(f"{each[part]:.3f}" for part in PARTS) + " |")
    lines += [
        "",
        f"Redis needs {units.spend_microseconds:.1f} µs of its one core for a run of the nonce's script (one caller "
        f"after the other, system calls included), and {units.nonce_bytes:.0f} bytes for each nonce that it remembers. "
        f"PostgreSQL needs {units.event_bytes:.0f} bytes of disk for an audit event with its indexes; a new schema "
        f"with everything that belongs to it {units.write_bytes:,.0f} bytes, and {units.wal_bytes:,.0f} bytes of its "
        "log.",
    ]
    return "\n".join(lines)


def arithmetic(units: Units) -> str:
    """What follows; for docs/scaling.md."""
    read, write = units.milliseconds["read"], units.milliseconds["write"]
    head = " | ".join(f"{rate:,} /s" for rate in RATES)
    rows = {
        "nonces remembered at a time": [f"{rate * REMEMBERED_SECONDS:,}" for rate in RATES],
        "Redis: memory for them": [
            f"{rate * REMEMBERED_SECONDS * units.nonce_bytes / 1e9:,.0f} GB" for rate in RATES
        ],
        "Redis: cores for the script": [f"{rate * units.spend_microseconds / 1e6:,.1f}" for rate in RATES],
        "Redis: cores, as in whole requests": [f"{rate * read['Redis'] / 1000:,.1f}" for rate in RATES],
        f"Redis: primaries, each {BUSY:.0%} busy (by the script, by whole requests)": [
            f"{_up(rate * units.spend_microseconds / 1e6 / BUSY):,} to {_up(rate * read['Redis'] / 1000 / BUSY):,}"
            for rate in RATES
        ],
        "web: cores for reads": [f"{rate * read['web'] / 1000:,.0f}" for rate in RATES],
        f"web: servers of {CORES_PER_SERVER} cores, each {BUSY:.0%} busy": [
            f"{_up(rate * read['web'] / 1000 / CORES_PER_SERVER / BUSY):,}" for rate in RATES
        ],
        **{
            f"PostgreSQL: records of {CLIENTS:,} clients read a second, kept for {kept:,} s": [
                f"{min(rate, CLIENTS * _processes(rate, read) / kept):,.0f}" for rate in RATES
            ]
            for kept in KEPT_SECONDS
        },
        f"PostgreSQL: writes a second, at {WRITES:.0%} of all": [f"{rate * WRITES:,.0f}" for rate in RATES],
        "PostgreSQL: cores for them": [
            f"{rate * WRITES * write['PostgreSQL'] / 1000:,.1f}" for rate in RATES
        ],
        "PostgreSQL: its log": [f"{rate * WRITES * units.wal_bytes / 1e6:,.0f} MB/s" for rate in RATES],
        "audit events a day": [f"{rate * WRITES * 86_400 / 1e6:,.0f} million" for rate in RATES],
        "disk for them, a day": [
            f"{rate * WRITES * 86_400 * units.event_bytes / 1e9:,.0f} GB" for rate in RATES
        ],
    }
    return "\n".join(
        [
            f"| signed requests | {head} |",
            "|---|---|---|",
            *(f"| {name} | {' | '.join(values)} |" for name, values in rows.items()),
            "",
            f"From: a read costs {read['web']:.2f} ms of a web core and {read['Redis'] * 1000:.0f} µs of Redis (with "
            f"everything that Redis does, on shared cores), a write {write['PostgreSQL']:.2f} ms of a core of "
            f"PostgreSQL and {units.wal_bytes:,.0f} bytes of its log, the script {units.spend_microseconds:.1f} µs of "
            f"Redis, a nonce {units.nonce_bytes:.0f} bytes for {REMEMBERED_SECONDS} s, an audit event "
            f"{units.event_bytes:.0f} bytes.",
        ]
    )


def _processes(rate: float, read: dict[str, float]) -> int:
    """Web processes that reads at `rate` need."""
    return _up(rate * read["web"] / 1000 / BUSY)


def _up(value: float) -> int:
    return max(1, math.ceil(value))
