"""The audit log: what appending costs as it grows, and how fast it is sealed and verified.

An SQLite database of its own is filled up to `--events`; appending is measured at 10³ events, at the full
log, and at the full log after it was sealed. The appends of each measure are each a transaction with one
event. Verification reads every event, leaf, batch and signature, as `manage.py verify_audit_log` does.

    python -m benchmarks.audit --events 1000000
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

FEW = 1_000
APPENDS = 100
ROUNDS = 9
CHUNK = 250_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--append-only", action="store_true", help="neither seal nor verify")
    parser.add_argument("--json", action="store_true", help="JSON is what is printed anyway")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        print(json.dumps(measure(arguments.events, append_only=arguments.append_only), indent=2))


def prepare(folder: Path) -> None:
    os.environ |= {
        "DATA_DIR": str(folder),
        "DATABASE_URL": f"sqlite:///{folder}/audit.sqlite3",
        "DATAFOLD_DEVELOPMENT": "true",
        "DATAFOLD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "SECRET_KEY": "only-for-a-benchmark-only-for-a-benchmark-only-for-a-benchmark",
        "LOG_LEVEL": "ERROR",
        "DJANGO_SETTINGS_MODULE": "project.settings",
    }
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0, skip_checks=True)


def measure(events: int, *, append_only: bool) -> dict[str, Any]:
    from django.utils import timezone

    from accounts.audit_check import verify_log
    from accounts.sealing import seal_events
    from keys.server_keys import current_signer, vouched_for

    signer = current_signer()
    fill(FEW)
    few = append_microseconds()
    fill(events)
    many = append_microseconds()
    results: dict[str, Any] = {
        "events": events,
        "append_us": {"at 1,000": round(few), f"at {events:,}": round(many), "ratio": round(many / few, 2)},
        "database": "SQLite",
    }
    if append_only:
        return results
    started = time.perf_counter()
    sealed = seal_events(signer=signer, now=timezone.now())
    results["seal"] = rate(sealed["events"], time.perf_counter() - started)
    results["append_us"]["after sealing"] = round(append_microseconds())
    seal_events(signer=signer, now=timezone.now())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    report = verify_log(vouched_for=vouched_for)
    results["verify"] = {
        **rate(report.events, time.perf_counter() - started),
        "intact": report.intact,
        "checkpoints": report.checkpoints,
        "memory_grew_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024,
    }
    return results


def rate(events: int, seconds: float) -> dict[str, Any]:
    return {"events": events, "seconds": round(seconds, 1), "per_second": round(events / seconds)}


def append_microseconds() -> float:
    """Median over rounds of the mean cost of one append."""
    from django.db import transaction

    from accounts.audit import Actor, record_event

    def append_some() -> float:
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
        return (time.perf_counter() - started) / APPENDS * 1e6

    return statistics.median(append_some() for _ in range(ROUNDS))


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
