"""Usage counters from Redis into the database: nothing lost, nothing counted twice.

1. Each client's hash of counters is renamed: from then on no request adds to it.
2. Its counts and its new name go into the database in one transaction.
3. The hash is deleted.

A worker that dies after 1 leaves the hash for the next run. One that dies after 2 leaves it too, but
its name is known, so it is only deleted. Two workers at once: the name is unique.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import redis
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q

from accounts.jobs import Counts
from keys.models import Key, KeyUsage, UsageFlush
from keys.replay.redis import USAGE_PREFIX

FLUSH_PREFIX = "df:flush:"
BATCH = 100
REMEMBER = timedelta(hours=1)

Usage = Counter[tuple[uuid.UUID, int]]


def flush_usage(now: datetime) -> Counts:
    """Move every usage counter into the database. Without Redis they are there already."""
    if not settings.REDIS_URL:
        return {"requests": 0}
    with redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=10, socket_connect_timeout=5, decode_responses=True
    ) as store:
        _set_aside(store)
        requests = sum(_apply(store, names, now) for names in _batches(_names(store, f"{FLUSH_PREFIX}*")))
        _forget(store, now)
    return {"requests": requests}


def _set_aside(store: redis.Redis) -> None:
    """Rename each client's hash. The name keeps its hash tag, so that a cluster renames within one node."""
    for name in _names(store, f"{USAGE_PREFIX}*"):
        tag = name.removeprefix(USAGE_PREFIX)
        try:
            store.rename(name, f"{FLUSH_PREFIX}{tag}:{int(time.time())}:{uuid.uuid4().hex}")
        except redis.ResponseError:
            continue  # another worker renamed it just now


def _apply(store: redis.Redis, names: list[str], now: datetime) -> int:
    """Count the hashes that nobody counted yet, then delete all of them; how many requests were counted."""
    # Sorted, so that two workers that meet the same names wait for each other instead of both failing.
    hashes = {name: _read(store, name) for name in sorted(names)}
    with transaction.atomic():
        fresh = [name for name in hashes if _claim(name, now)]
        usage: Usage = Counter()
        seen: dict[uuid.UUID, datetime] = {}
        for name in fresh:
            _add_up(hashes[name], _renamed_at(name), usage, seen)
        _write(usage, seen)
    store.delete(*hashes)
    return sum(usage.values())


def _claim(name: str, now: datetime) -> bool:
    """Take the name down; False if its counts are in the database."""
    table = connection.ops.quote_name(UsageFlush._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (name, flushed_at) VALUES (%s, %s) ON CONFLICT DO NOTHING",  # noqa: S608
            [name, now],
        )
        return bool(cursor.rowcount == 1)


def _add_up(
    counts: Mapping[str, int], renamed_at: datetime, usage: Usage, seen: dict[uuid.UUID, datetime]
) -> None:
    for field, count in counts.items():
        key_id, _, hour = field.partition("|")
        try:
            key, number = uuid.UUID(key_id), int(hour)
        except ValueError:
            continue  # not one of this server's
        usage[key, number] += count
        last = min(renamed_at, datetime.fromtimestamp((number + 1) * 3600, UTC))
        seen[key] = max(last, seen.get(key, last))


def _write(usage: Usage, seen: Mapping[uuid.UUID, datetime]) -> None:
    known = set(Key.objects.filter(pk__in=list(seen)).values_list("pk", flat=True))
    rows = [
        KeyUsage(key_id=key, hour=datetime.fromtimestamp(hour * 3600, UTC), count=count)
        for (key, hour), count in sorted(usage.items())
        if key in known
    ]
    _add_usage(rows)
    totals: Counter[uuid.UUID] = Counter()
    for (key, _), count in usage.items():
        totals[key] += count
    for key in sorted(known):
        Key.objects.filter(pk=key).update(usage_count=F("usage_count") + totals[key])
        Key.objects.filter(Q(last_used_at__isnull=True) | Q(last_used_at__lt=seen[key]), pk=key).update(
            last_used_at=seen[key]
        )


def _add_usage(rows: list[KeyUsage]) -> None:
    """Add to the hours that are there, and make those that are not."""
    KeyUsage.objects.bulk_create(
        [KeyUsage(key_id=row.key_id, hour=row.hour, count=0) for row in rows], ignore_conflicts=True
    )
    for row in rows:
        KeyUsage.objects.filter(key_id=row.key_id, hour=row.hour).update(count=F("count") + row.count)


def _forget(store: redis.Redis, now: datetime) -> None:
    """Names of hashes that are long gone. Not sooner: a crash of Redis may undo its last second."""
    old = UsageFlush.objects.filter(flushed_at__lt=now - REMEMBER)
    for names in _batches(old.values_list("name", flat=True).iterator()):
        gone = names if not store.exists(*names) else [name for name in names if not store.exists(name)]
        UsageFlush.objects.filter(name__in=gone).delete()


def _read(store: redis.Redis, name: str) -> dict[str, int]:
    found: Any = store.hgetall(name)
    return {field: int(count) for field, count in found.items()}


def _renamed_at(name: str) -> datetime:
    return datetime.fromtimestamp(int(name.rsplit(":", 2)[1]), UTC)


def _names(store: redis.Redis, pattern: str) -> Iterator[str]:
    return iter(store.scan_iter(match=pattern, count=1000))


def _batches(names: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(names)
    while batch := list(islice(iterator, BATCH)):
        yield batch
