"""The audit log: what appending costs as it grows, and how fast it is sealed and verified.

Two SQLite databases are filled, one with a thousand events and one with `--events`. Appending is measured in
turns, each append a transaction with one event; the figures are the fastest of the rounds (a busy machine only
ever adds), and their ratio. Then the long log is sealed and verified, as `manage.py verify_audit_log` does it:
every event, leaf, batch and signature. Filling 10⁷ events takes about ten minutes and 8 GB below the temporary folder.

    python -m benchmarks.audit --events 1000000
    python -m benchmarks.audit --events 10000000 --append-only
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

FEW = 1_000
APPENDS = 100
ROUNDS = 15
CHUNK = 250_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--append-only", action="store_true", help="neither seal nor verify")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="JSON is what is printed anyway")
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve, arguments.events)
        return
    with tempfile.TemporaryDirectory() as folder:
        few, many = (
            Log(Path(folder) / name, events) for name, events in (("few", FEW), ("many", arguments.events))
        )
        print(json.dumps(measure(few, many, append_only=arguments.append_only), indent=2))
        few.stop()
        many.stop()


class Log:
    """A process of its own over one log, that answers each line (append, seal, verify) with what it took."""

    def __init__(self, folder: Path, events: int) -> None:
        folder.mkdir()
        self.events = events
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.audit", "--serve", str(folder), "--events", str(events)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment(folder)},
        )
        self._answer()

    def ask(self, what: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        return self._answer()

    def stop(self) -> None:
        self._process.communicate()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            sys.exit("A log's process ended early; its words are above.")
        return json.loads(line)


def measure(few: Log, many: Log, *, append_only: bool) -> dict[str, Any]:
    results: dict[str, Any] = {"database": "SQLite", "events": many.events, "append_us": appends(few, many)}
    if append_only:
        return results
    results["seal"] = many.ask("seal")
    results["append_us_after_sealing"] = appends(few, many)
    many.ask("seal")
    results["verify"] = many.ask("verify")
    return results


def appends(few: Log, many: Log) -> dict[str, Any]:
    rounds = [(few.ask("append"), many.ask("append")) for _ in range(ROUNDS)]
    least, most = (min(column) for column in zip(*rounds, strict=True))
    return {f"at {few.events:,}": least, f"at {many.events:,}": most, "ratio": round(most / least, 2)}


def environment(folder: Path) -> dict[str, str]:
    return {
        "DATA_DIR": str(folder),
        "DATABASE_URL": f"sqlite:///{folder}/audit.sqlite3",
        "REDIS_URL": "",
        "DATAFOLD_DEVELOPMENT": "true",
        "DATAFOLD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "SECRET_KEY": "only-for-a-benchmark-only-for-a-benchmark-only-for-a-benchmark",
        "LOG_LEVEL": "ERROR",
        "DJANGO_SETTINGS_MODULE": "project.settings",
    }


def serve(folder: Path, events: int) -> None:
    """Fill the log; then answer what is asked on standard input."""
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0, skip_checks=True)
    fill(events)
    answers = {"append": append_microseconds, "seal": seal, "verify": verify}
    print("null", flush=True)
    for line in sys.stdin:
        print(json.dumps(answers[line.strip()]()), flush=True)


def seal() -> dict[str, Any]:
    from django.utils import timezone

    from accounts.sealing import seal_events
    from keys.server_keys import current_signer

    started = time.perf_counter()
    sealed = seal_events(signer=current_signer(), now=timezone.now())
    return rate(sealed["events"], time.perf_counter() - started)


def verify() -> dict[str, Any]:
    from accounts.audit_check import verify_log
    from keys.server_keys import vouched_for

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    report = verify_log(vouched_for=vouched_for)
    return {
        **rate(report.events, time.perf_counter() - started),
        "intact": report.intact,
        "checkpoints": report.checkpoints,
        "memory_grew_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024,
    }


def rate(events: int, seconds: float) -> dict[str, Any]:
    return {"events": events, "seconds": round(seconds, 1), "per_second": round(events / seconds)}


def append_microseconds() -> int:
    """The mean cost of one append."""
    from django.db import transaction

    from accounts.audit import Actor, record_event

    started = time.perf_counter()
    for number in range(APPENDS):
        with transaction.atomic():
            record_event(
                actor=Actor.client("client-1", "k" * 43),
                action="schema.created",
                target_kind="schema",
                target_id=str(number),
                target_label="orders",
                after={"number": number},
            )
    return round((time.perf_counter() - started) / APPENDS * 1e6)


def fill(until: int) -> None:
    """Events as they look in life, up to `until`; and everything in the file, nothing left in the write-ahead log."""
    from django.db import connection

    from accounts.models import AuditEvent

    there = AuditEvent.objects.count()
    for start in range(there, until, CHUNK):
        insert_events(start + 1, min(CHUNK, until - start))
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def insert_events(first: int, how_many: int) -> None:
    from accounts.models import AuditEvent
    from benchmarks.site.rows import insert_rows

    insert_rows(
        AuditEvent,
        how_many,
        first=first,
        id="i",
        created_at="strftime('%Y-%m-%d %H:%M:%f', 'now')",
        actor_kind="'client'",
        actor_id="'client-' || (i % 997)",
        actor_label="'client-' || (i % 997)",
        actor_key="printf('%043d', i % 997)",
        action="'schema.version.created'",
        target_kind="'schema'",
        target_id="'' || (i % 5003)",
        target_label="'orders'",
        before="""'{"status": "available"}'""",
        after="""'{"number": ' || i || ', "fingerprint": "' || printf('%064x', i) || '"}'""",
        reason="'because'",
        request_id="printf('%032x', i)",
        address="'192.0.2.1'",
    )


if __name__ == "__main__":
    main()
