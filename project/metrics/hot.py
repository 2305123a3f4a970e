"""What every request counts. Under ten microseconds together, so nothing here looks a label up twice."""

from __future__ import annotations

import itertools
import time
from typing import Final

from django.http import HttpRequest
from prometheus_client import Counter, Histogram

from project.context import RequestContext

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_PHASE_SECONDS: Final = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1)
_METHODS: Final = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
SAMPLE_ONE_IN: Final = 16

REQUESTS = Counter("datafold_requests_total", "Requests by route and status.", ["method", "route", "status"])
DURATION = Histogram(
    "datafold_request_duration_seconds",
    "Time from the first byte of the application to the last.",
    ["route"],
    buckets=_SECONDS,
)
REFUSALS = Counter("datafold_refusals_total", "Refused requests by error code.", ["code"])
REPLAYS = Counter(
    "datafold_replays_stopped_total", "Signatures refused because their nonce was spent before."
)
VERIFIED = Counter("datafold_signatures_verified_total", "Signatures that held and were let in.")
LOOKUPS = Counter(
    "datafold_cache_lookups_total",
    "Lookups in this server's caches, by sample: of clients and keys (directory), of signatures that held (memo).",
    ["cache", "result"],
)
PHASES = Histogram(
    "datafold_verification_phase_seconds",
    f"Time by phase of verification, of one signed request in {SAMPLE_ONE_IN}.",
    ["phase"],
    buckets=_PHASE_SECONDS,
)


class _Children:
    """`metric.labels(…)` locks and hashes; its children never change, so they are kept."""

    def __init__(self) -> None:
        self.requests: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self.refusals: dict[str, Counter] = {}
        self.lookups: dict[tuple[str, bool], Counter] = {}
        self.phases: dict[str, Histogram] = {}


_children = _Children()
_turn = itertools.count()
_lookups = {"directory": itertools.count(), "memo": itertools.count()}


def observe_request(request: HttpRequest, status: int, seconds: float, context: RequestContext) -> None:
    """Count one request that was answered with `status` after `seconds`."""
    match = request.resolver_match
    route = (match.route if match else "") or "unknown"
    method = request.method if request.method in _METHODS else "OTHER"
    key = (method or "OTHER", route, status)
    found = _children.requests.get(key)
    if found is None:
        found = (REQUESTS.labels(key[0], route, str(status)), DURATION.labels(route))
        _children.requests[key] = found
    found[0].inc()
    found[1].observe(seconds)
    fields = context.log_fields
    if code := fields.get("error_code"):
        _count_refusal(code)
    elif "client_id" in fields:
        VERIFIED.inc()


def observe_unread_request(status: int, code: str) -> None:
    """Count what the server's worker refused itself, because there was no whole request to answer."""
    REQUESTS.labels("OTHER", "unknown", str(status)).inc()
    _count_refusal(code)


def _count_refusal(code: str) -> None:
    child = _children.refusals.get(code)
    if child is None:
        child = _children.refusals[code] = REFUSALS.labels(code)
    child.inc()
    if code == "NONCE_REUSED":
        REPLAYS.inc()


def count_lookup(cache: str, hit: bool) -> None:
    """One lookup in `cache`: "directory" or "memo". One in SAMPLE_ONE_IN is counted, for all of them."""
    if next(_lookups[cache]) % SAMPLE_ONE_IN:
        return
    child = _children.lookups.get((cache, hit))
    if child is None:
        child = _children.lookups[cache, hit] = LOOKUPS.labels(cache, "hit" if hit else "miss")
    child.inc(SAMPLE_ONE_IN)


class PhaseTimer:
    """Observes the time since the last lap. One that does not sample does nothing."""

    __slots__ = ("_at",)

    def __init__(self) -> None:
        self._at = time.perf_counter()

    def lap(self, phase: str) -> None:
        now = time.perf_counter()
        child = _children.phases.get(phase)
        if child is None:
            child = _children.phases[phase] = PHASES.labels(phase)
        child.observe(now - self._at)
        self._at = now


class _NoTimer(PhaseTimer):
    __slots__ = ()

    def __init__(self) -> None:
        pass

    def lap(self, phase: str) -> None:
        pass


_NO_TIMER = _NoTimer()


def phase_timer() -> PhaseTimer:
    """A timer for one signed request; only every SAMPLE_ONE_IN-th measures."""
    return _NO_TIMER if next(_turn) % SAMPLE_ONE_IN else PhaseTimer()
