"""Counting who reads which version, without a write to the database per request.

On Redis a read is one field of a hash, counted in the round trip that asks for the epoch; a job
moves the hash to the database. Without Redis each process collects its reads and writes them down
together, every `FLUSH_SECONDS` at the next read and when it ends. A process that is killed loses
the counts of these seconds: they are statistics, not proof.
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
from functools import lru_cache
from typing import Any, cast

import redis
from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import F, Max, Sum

from accounts.models import Client
from keys.errors import ReplayCheckUnavailable
from keys.replay.connection import RedisConnections
from keys.replay.scripts import Script
from schemas.epoch import EPOCH_KEY, connection, local_epoch
from schemas.models import Schema, SchemaVersion, VersionRead

log = logging.getLogger(__name__)

READS_KEY = "df:{schemas}:reads"
FLUSH_SECONDS = 10.0
FLUSH_READS = 1000
IN_USE_DAYS = 30
BATCH = 500

Read = tuple[int, int | None, date]

# KEYS: epoch, reads. ARGV: run of the server, field of the read or "". A Redis that lost its memory
# counts from the beginning again: the run tells its epochs from those before.
COUNT_READ = Script(
    """
if ARGV[2] ~= '' then redis.call('HINCRBY', KEYS[2], ARGV[2], 1) end
return ARGV[1] .. '-' .. (redis.call('GET', KEYS[1]) or '0')
""",
    keys=2,
)


class _Buffer:
    """This process's reads that are not written down yet."""

    def __init__(self) -> None:
        self._counts: Counter[Read] = Counter()
        self._lock = threading.Lock()
        self._due = 0.0

    def add(self, read: Read) -> None:
        with self._lock:
            if not self._counts:
                self._due = time.monotonic() + FLUSH_SECONDS
            self._counts[read] += 1
            due = time.monotonic() >= self._due or len(self._counts) >= FLUSH_READS
        if due:
            self.flush()

    def flush(self) -> int:
        with self._lock:
            counts, self._counts = self._counts, Counter()
        return _write_down(counts)


_buffer = _Buffer()


def count_read(version_pk: int | None, client_pk: int | None) -> str:
    """Count one read (none if the version is not known yet).

    Returns:
        The registry's epoch; "" if it cannot be known now, so that nothing cached may be believed.
    """
    today = datetime.now(UTC).date()
    if not settings.REDIS_URL:
        if version_pk is not None:
            _buffer.add((version_pk, client_pk, today))
        return f"local-{local_epoch()}"
    read = "" if version_pk is None else f"{version_pk}|{client_pk or ''}|{today.isoformat()}"
    try:
        connections = _connections(settings.REDIS_URL, settings.REDIS_TIMEOUT_SECONDS)
        epoch: bytes = connections.run(COUNT_READ, read, keys=(EPOCH_KEY, READS_KEY))
    except ReplayCheckUnavailable:
        log.warning("read not counted: Redis is unavailable")
        return ""
    return epoch.decode()


@lru_cache(maxsize=4)
def _connections(url: str, timeout: float) -> RedisConnections:
    return RedisConnections(url, timeout=timeout)


def flush_reads() -> int:
    """Move what is counted to the database; returns the number of reads. Safe to run twice at once.

    The hash is renamed first, so that no read is counted twice; one that a crash left behind is
    taken up by the next run.
    """
    if not settings.REDIS_URL:
        return _buffer.flush()
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


def versions_in_use(versions: Iterable[SchemaVersion]) -> list[SchemaVersion]:
    """Those of the versions that somebody read in the last 30 days."""
    by_pk = {version.pk: version for version in versions}
    used = VersionRead.objects.filter(version__in=list(by_pk), day__gte=_since()).values_list(
        "version_id", flat=True
    )
    return [by_pk[pk] for pk in sorted(set(used))]


def _since() -> date:
    return datetime.now(UTC).date() - timedelta(days=IN_USE_DAYS)


def _flush_at_exit() -> None:
    with suppress(DatabaseError, RuntimeError):
        _buffer.flush()


atexit.register(_flush_at_exit)
