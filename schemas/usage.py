"""Counting who reads which version, without a write to the database or a round trip per request.

Each process collects its reads. On Redis it adds them to one hash, `SEND_SECONDS` after the first of them,
and a job moves the hash to the database. Without Redis it writes them down together, every `FLUSH_SECONDS`
at the next read. Either way also when it ends; a process that is killed loses the counts of these seconds:
they are statistics, not proof.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

import redis
from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import F, Max, QuerySet, Sum

from accounts.models import Client
from schemas.epoch import connection
from schemas.models import Schema, SchemaVersion, VersionRead

log = logging.getLogger(__name__)

READS_KEY = "df:{schemas}:reads"
SEND_SECONDS = 1.0
FLUSH_SECONDS = 10.0
FLUSH_READS = 1000
IN_USE_DAYS = 30
BATCH = 500

Read = tuple[int, int | None, date]


class _Buffer:
    """This process's reads that are not written down yet."""

    def __init__(self) -> None:
        self._counts: Counter[Read] = Counter()
        self._lock = threading.Lock()
        self._due = 0.0

    def add(self, read: Read) -> None:
        with self._lock:
            first = not self._counts
            self._counts[read] += 1
            full = len(self._counts) >= FLUSH_READS
            if first:
                self._due = time.monotonic() + FLUSH_SECONDS
        if settings.REDIS_URL:
            if first:
                self._send_later()
        elif full or time.monotonic() >= self._due:
            self.flush()

    def flush(self) -> int:
        """Returns the number of reads that this brought into the database."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not settings.REDIS_URL:
            return _write_down(counts)
        _send(counts)
        return 0

    def _send_later(self) -> None:
        # Not at the next read: after the last one of the evening there is none.
        timer = threading.Timer(SEND_SECONDS, self.flush)
        timer.daemon = True
        timer.start()


_buffer = _Buffer()


def count_read(version_pk: int, client_pk: int | None) -> None:
    """Count one read.

    Args:
        client_pk: of the client that signed; None where nobody did.
    """
    _buffer.add((version_pk, client_pk, datetime.now(UTC).date()))


def _send(counts: Mapping[Read, int]) -> None:
    if not counts:
        return
    try:
        with connection().pipeline(transaction=False) as pipe:
            for (version_pk, client_pk, day), count in counts.items():
                pipe.hincrby(READS_KEY, f"{version_pk}|{client_pk or ''}|{day.isoformat()}", count)
            pipe.execute()
    except redis.RedisError:
        log.warning("%s reads not counted: Redis is unavailable", sum(counts.values()))


def flush_reads() -> int:
    """Move what is counted to the database; returns the number of reads. Safe to run twice at once.

    The hash is renamed first, so that no read is counted twice; one that a crash left behind is
    taken up by the next run.
    """
    written = _buffer.flush()
    if not settings.REDIS_URL:
        return written
    client = connection()
    with suppress(redis.ResponseError):  # there is nothing to rename
        client.rename(READS_KEY, f"{READS_KEY}:{uuid.uuid4().hex}")
    total = 0
    for key in client.scan_iter(f"{READS_KEY}:*"):
        total += _take(client, key)
    return total


def _take(client: redis.Redis, key: bytes) -> int:
    if not client.set(f"df:lock:{key.decode()}", "1", nx=True, ex=60):
        return 0  # another run has it
    fields = cast(Mapping[bytes, bytes], client.hgetall(key))
    counts: Counter[Read] = Counter()
    for name, count in fields.items():
        version_pk, client_pk, day = name.decode().split("|")
        read = (int(version_pk), int(client_pk) if client_pk else None, date.fromisoformat(day))
        counts[read] += int(count)
    written = _write_down(counts)
    client.delete(key)
    return written


def _write_down(counts: Mapping[Read, int]) -> int:
    """Add the counts in the order of their keys, so that two writers cannot deadlock."""
    entries = sorted(counts.items(), key=lambda entry: (entry[0][0], entry[0][1] or 0, entry[0][2]))
    for start in range(0, len(entries), BATCH):
        batch = entries[start : start + BATCH]
        versions = SchemaVersion.objects.filter(pk__in={read[0] for read, _ in batch})
        clients = Client.objects.filter(pk__in={read[1] for read, _ in batch if read[1]})
        known_versions = set(versions.values_list("pk", flat=True))
        known_clients = {None, *clients.values_list("pk", flat=True)}
        with transaction.atomic():
            for (version_pk, client_pk, day), count in batch:
                if version_pk in known_versions and client_pk in known_clients:
                    row, _ = VersionRead.objects.get_or_create(
                        version_id=version_pk,
                        client_id=client_pk,  # type: ignore[misc]  # null where nobody signed
                        day=day,
                    )
                    VersionRead.objects.filter(pk=row.pk).update(count=F("count") + count)
    return sum(counts.values())


def readers_of(schema: Schema) -> list[dict[str, Any]]:
    """Who read which version in the last 30 days, newest version first."""
    rows = (
        VersionRead.objects.filter(version__schema=schema, day__gte=_since())
        .values("version__number", "client__client_id")
        .annotate(reads=Sum("count"), last_read_on=Max("day"))
        .order_by("-version__number", "-reads")
    )
    return [
        {
            "number": row["version__number"],
            "client_id": row["client__client_id"],
            "reads": row["reads"],
            "last_read_on": row["last_read_on"].isoformat(),
        }
        for row in rows[:500]
    ]


def versions_in_use(versions: QuerySet[SchemaVersion]) -> Iterable[SchemaVersion]:
    """Those of a schema's versions that somebody read in the last 30 days, oldest first."""
    used = VersionRead.objects.filter(day__gte=_since()).values("version_id")
    return versions.filter(pk__in=used).order_by("number").iterator(chunk_size=20)


def _since() -> date:
    return datetime.now(UTC).date() - timedelta(days=IN_USE_DAYS)


def _flush_at_exit() -> None:
    with suppress(DatabaseError, RuntimeError):
        _buffer.flush()


atexit.register(_flush_at_exit)
