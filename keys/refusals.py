"""Refused signatures, kept some days so that an operator finds one by its request id.

Writing them must neither slow down nor break an answer, and a flood of wrong signatures must not become
a flood of writes: an answer only adds to a bounded buffer, which is written at most once a second, after
an answer has been sent. What is over the bounds is counted (by code and hour) and not kept.
"""

from __future__ import annotations

import atexit
import json
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from django.db import DataError, Error, IntegrityError, connection, transaction
from django.db.models import F
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from keys.models import Refusal, RefusalCount
from keys.wire import claims_signature
from project.context import current_context
from project.proxies import caller_network

log = logging.getLogger(__name__)

# What one row is to blame for, and not the database: strangers choose a part of what is kept.
UNKEEPABLE = (DataError, IntegrityError, ValueError)

FLUSH_SECONDS = 1.0
BUFFERED = 500
KEPT_PER_CLIENT = 200
KEPT_IN_ALL = 20_000
KEPT_PER_ADDRESS_AND_MINUTE = 20
_DETAILS_BYTES = 4000

# What a claimed signature, or what follows from it, is refused with.
SIGNATURE_CODES = frozenset(
    {
        *("SIGNATURE_MISSING", "SIGNATURE_MALFORMED", "SIGNATURE_AMBIGUOUS", "SIGNATURE_TOO_LARGE"),
        *("SIGNATURE_VERIFICATION_FAILED", "SIGNATURE_EXPIRED", "REQUEST_MALFORMED", "KEYID_MISSING"),
        *("COMPONENT_NOT_COVERED", "COMPONENT_UNKNOWN", "ALGORITHM_NOT_ALLOWED", "ALGORITHM_MISMATCH"),
        *("TIMESTAMP_MISSING", "TIMESTAMP_IN_FUTURE", "NONCE_MISSING", "NONCE_INVALID", "NONCE_REUSED"),
        *("DIGEST_MISSING", "DIGEST_MISMATCH", "DIGEST_MALFORMED", "CLIENT_NOT_FOUND", "CLIENT_SUSPENDED"),
        *("KEY_NOT_ACTIVE", "KEY_EXPIRED", "KEY_REVOKED", "NETWORK_NOT_ALLOWED", "SCOPE_MISSING"),
        *("REPLAY_CHECK_UNAVAILABLE", "RATE_LIMITED", "AUTHORITY_NOT_ALLOWED", "RAW_TARGET_MISSING"),
        *("FORWARDED_REQUEST_INVALID", "FORWARDED_HOST_NOT_ALLOWED"),
    }
)


def keep_refusal(
    request: HttpRequest,
    response: HttpResponseBase,
    *,
    code: str,
    message: str,
    details: Mapping[str, Any],
) -> None:
    """Keep this refusal, if it is one of a claimed signature. Never raises; written after the answer."""
    if code not in SIGNATURE_CODES or not claims_signature(request):
        return
    context = current_context()
    fields = context.log_fields
    _buffer().add(
        Refusal(
            created_at=datetime.now(UTC),
            request_id=context.request_id[:64],
            claimed_client_id=str(fields.get("claimed_client_id", fields.get("client_id", "")))[:64],
            code=code,
            message=message[:500],
            details=_bounded(details),
            method=str(fields.get("original_method", request.method))[:16],
            path=str(fields.get("original_target", request.path))[:500],
            address=context.address[:45],
        )
    )
    response._resource_closers.append(_buffer().flush_in_time)  # type: ignore[attr-defined]


def flush() -> None:
    """Write what waits now."""
    _buffer().flush()


def forget() -> None:
    """Drop what waits, unwritten, and how many came from each address."""
    _buffer().clear()


class RefusalBuffer:
    """What this process has refused and not written yet. Bounded in every direction; safe for threads."""

    def __init__(self) -> None:
        self._waiting: deque[Refusal] = deque(maxlen=BUFFERED)
        self._counts: Counter[tuple[datetime, str]] = Counter()
        self._seen: Counter[str] = Counter()
        self._minute = 0
        self._flushed_at = -FLUSH_SECONDS
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()
        self._writing = threading.Lock()

    def add(self, refusal: Refusal) -> None:
        hour = refusal.created_at.replace(minute=0, second=0, microsecond=0)
        minute = int(refusal.created_at.timestamp() // 60)
        caller = caller_network(refusal.address)
        with self._lock:
            if minute != self._minute:
                self._minute, self._seen = minute, Counter()
            self._counts[hour, refusal.code] += 1
            seen = self._seen[caller]
            if seen < KEPT_PER_ADDRESS_AND_MINUTE and (seen or len(self._seen) < BUFFERED):
                self._seen[caller] += 1
                self._waiting.append(refusal)

    def flush_in_time(self) -> None:
        """Write now, or within a second if something was written within the last one."""
        wait = self._flushed_at + FLUSH_SECONDS - time.monotonic()
        if wait <= 0 or connection.in_atomic_block:
            # Inside a transaction only this thread may write: another would wait for its end.
            self.flush()
            return
        with self._lock:
            if self._timer is None:
                self._timer = threading.Timer(wait, self._flush_in_thread)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Write what waits. A database that is away costs these refusals and nothing else."""
        with self._writing:
            self._flushed_at = time.monotonic()
            waiting, counts = self._take()
            if not counts:
                return
            try:
                _write(waiting, counts)
            except Error as error:
                log.error("%d refusals could not be written: %s", sum(counts.values()), error)
            except Exception:  # whatever a database can raise: an answer never breaks over its record
                log.exception("%d refusals could not be written", sum(counts.values()))

    def clear(self) -> None:
        self._take()
        with self._lock:
            self._seen.clear()

    def _take(self) -> tuple[list[Refusal], Counter[tuple[datetime, str]]]:
        with self._lock:
            waiting, counts = list(self._waiting), self._counts
            self._waiting.clear()
            self._counts = Counter()
            return waiting, counts

    def _flush_in_thread(self) -> None:
        with self._lock:
            self._timer = None
        try:
            self.flush()
        finally:
            connection.close()


def _write(waiting: list[Refusal], counts: Counter[tuple[datetime, str]]) -> None:
    with transaction.atomic():
        for (hour, code), count in sorted(counts.items()):
            row, created = RefusalCount.objects.get_or_create(hour=hour, code=code, defaults={"count": count})
            if not created:
                RefusalCount.objects.filter(pk=row.pk).update(count=F("count") + count)
        kept = _keep(waiting)
        for client_id in {refusal.claimed_client_id for refusal in kept}:
            _trim(client_id)
        _trim_all()


def _keep(waiting: list[Refusal]) -> list[Refusal]:
    """All in one statement; if one of them cannot be kept, one by one, so that it costs no other."""
    try:
        with transaction.atomic():
            return Refusal.objects.bulk_create(waiting)
    except UNKEEPABLE:
        return [refusal for refusal in waiting if _keep_one(refusal)]


def _keep_one(refusal: Refusal) -> bool:
    refusal.pk = None
    try:
        with transaction.atomic():
            refusal.save(force_insert=True)
    except UNKEEPABLE as error:
        log.error("a refusal could not be written (%s): %s", refusal.code, error)
        return False
    return True


def _trim(client_id: str) -> None:
    """Forget all but the newest of what claimed to be this client."""
    mine = Refusal.objects.filter(claimed_client_id=client_id).order_by("-pk")
    oldest = mine.values_list("pk", flat=True)[KEPT_PER_CLIENT - 1 : KEPT_PER_CLIENT].first()
    if oldest is not None:
        mine.filter(pk__lt=oldest).order_by().delete()


def _trim_all() -> None:
    """Claimed names are the callers' own invention, so there is a bound on all of them, too."""
    newest = Refusal.objects.order_by("-pk").values_list("pk", flat=True).first()
    if newest is not None:
        Refusal.objects.filter(pk__lte=newest - KEPT_IN_ALL).order_by().delete()


def _bounded(details: Mapping[str, Any]) -> dict[str, Any]:
    """The details without the lines' text, which may hold credentials; nothing where they are too long."""
    kept = dict(details)
    if isinstance(lines := kept.get("lines"), list):
        kept["lines"] = [{name: value for name, value in line.items() if name != "line"} for line in lines]
    text = json.dumps(kept, default=str)
    if len(text) > _DETAILS_BYTES:
        kept.pop("lines", None)
        text = json.dumps(kept, default=str)
    plain: dict[str, Any] = json.loads(text) if len(text) <= _DETAILS_BYTES else {}
    return plain


@lru_cache(maxsize=1)
def _buffer() -> RefusalBuffer:
    buffer = RefusalBuffer()
    atexit.register(buffer.flush)
    return buffer
