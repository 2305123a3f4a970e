"""The figures of the admin's first page.

It takes the same time with 10³ and with 10⁶ keys, because nothing here counts without an end:

- Counts stop at a cap (`SELECT COUNT(*) FROM (SELECT 1 … LIMIT 10001)`) and then read "10,000+".
  Rejected: exact counts kept in a table, which every transition of every key would have to update,
  a hot row for the sake of digits that decide nothing.
- Verified requests per hour are summed by a job (`keys.jobs.totals`). Where it has not run yet, an hour
  is summed here, of at most 20,000 counters and at most once a minute.
- The busiest clients are found among the 50 busiest keys of each hour, which an index has in order.
- Lists are the first few rows of an index.

Each panel is made only for who may see what it shows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlencode

from django.core.cache import cache
from django.db.models import QuerySet, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEvent, Client
from keys.jobs.totals import last_hours
from keys.models import HourTotal, Key, KeyStatus, KeyUsage, RefusalCount
from project.admin_base import capped_count, described
from project.charts import Columns, Row, columns, rows
from project.parts import parts

T = TypeVar("T")

CAP = 10_000
WAITING_CAP = 1_000
COUNTERS_READ = 20_000
HOURS = 24
LISTED = 6
BUSIEST_OF_AN_HOUR = 50
FRESH_SECONDS = 60
SILENT_AFTER = timedelta(days=7)


def dashboard(request: HttpRequest) -> dict[str, Any]:
    """The template's context for this operator."""
    now = timezone.now()
    may = request.user.has_perm
    context: dict[str, Any] = {"now": now, "parts": parts()}
    if may("keys.view_key"):
        context |= {
            "waiting": waiting(),
            "states": keys_by_state(),
            "expiring": expiring(now),
            "expiring_link": expiring_link(now),
            "traffic": traffic(now),
            "refusals": refusals_by_code(now),
            "busiest": busiest_clients(now),
            "silent": silent_keys(now),
        }
    if may("accounts.view_auditevent"):
        context["events"] = described(list(AuditEvent.objects.order_by("-id")[:LISTED]))
    return context


def waiting_badge(request: HttpRequest) -> str:
    """How many keys wait, for the sidebar; "" for none."""
    count = _capped(Key.objects.awaiting_decision(), cap=100)
    return _plus(count, 100) if count else ""


def waiting() -> dict[str, Any]:
    """The keys that have waited longest, and how many there are."""
    pending = Key.objects.awaiting_decision().select_related("client").order_by("registered_at", "id")
    return {"keys": list(pending[:LISTED]), "count": _plus(_capped(pending, cap=WAITING_CAP), WAITING_CAP)}


def keys_by_state() -> list[Row]:
    """One bar for each state; links to the list of those keys."""

    def count() -> list[tuple[str, int]]:
        return [(status.value, _capped(Key.objects.filter(status=status), cap=CAP)) for status in KeyStatus]

    counts = _fresh("dashboard:states", count)
    keys = reverse("admin:keys_key_changelist")
    bars = rows(counts, kinds=True, links={name: f"{keys}?status__exact={name}" for name, _ in counts})
    return [_with_plus(bar) for bar in bars]


def expiring(now: datetime) -> Columns:
    """Active keys that end within 30 days, in steps of five days."""

    def count() -> list[int]:
        return [
            _capped(
                Key.objects.filter(
                    status=KeyStatus.ACTIVE,
                    expires_at__gte=now + timedelta(days=start),
                    expires_at__lt=now + timedelta(days=start + 5),
                ),
                cap=1000,
            )
            for start in range(0, 30, 5)
        ]

    labels = [f"{start}–{start + 5} d" for start in range(0, 30, 5)]
    return columns(
        labels, {"expiring": _fresh("dashboard:expiring", count)}, description="Keys that expire soon"
    )


def expiring_link(now: datetime) -> str:
    """The list of those keys: the filter takes a date and a time for each end."""
    end = now + timedelta(days=30)
    ends = {
        "expires_at_from_0": f"{now:%Y-%m-%d}",
        "expires_at_from_1": f"{now:%H:%M:%S}",
        "expires_at_to_0": f"{end:%Y-%m-%d}",
        "expires_at_to_1": f"{end:%H:%M:%S}",
    }
    return f"{reverse('admin:keys_key_changelist')}?{urlencode({'status__exact': 'active', **ends})}"


def traffic(now: datetime) -> Columns:
    """Requests verified and refused in each of the last 24 hours."""
    hours = last_hours(now, HOURS)
    verified = _fresh("dashboard:verified", lambda: _verified(hours))
    refused = _fresh("dashboard:refused", lambda: _refused(hours))
    return columns(
        [f"{hour:%H:%M}" for hour in hours],
        {"verified": verified, "refused": refused},
        description="Requests per hour, last 24 hours",
    )


def refusals_by_code(now: datetime) -> list[Row]:
    """The most frequent error codes of the last 24 hours."""
    counts = (
        RefusalCount.objects.filter(hour__gte=now - timedelta(hours=HOURS))
        .values("code")
        .annotate(total=Sum("count"))
        .order_by("-total", "code")[:8]
    )
    found = [(entry["code"], entry["total"]) for entry in counts]
    listed = reverse("admin:keys_refusal_changelist")
    bars = rows(found, links={code: f"{listed}?code={code}" for code, _ in found})
    return [replace(bar, kind="refused") for bar in bars]


def busiest_clients(now: datetime) -> list[Row]:
    """Clients with the most verified requests in the last hours, of the busiest keys of each hour."""

    def count() -> list[tuple[str, int, int]]:
        totals: Counter[Any] = Counter()
        for hour in last_hours(now, HOURS):
            busiest = KeyUsage.objects.filter(hour=hour).order_by("-count").values_list("key", "count")
            for key, requests in busiest[:BUSIEST_OF_AN_HOUR]:
                totals[key] += requests
        owners = dict(
            Key.objects.filter(pk__in=[key for key, _ in totals.most_common(50)]).values_list(
                "pk", "client_id"
            )
        )
        by_client: Counter[int] = Counter()
        for key, requests in totals.most_common(50):
            by_client[owners[key]] += requests
        names = dict(Client.objects.filter(pk__in=by_client).values_list("pk", "client_id"))
        return [(names[pk], requests, pk) for pk, requests in by_client.most_common(LISTED)]

    found = _fresh("dashboard:busiest", count)
    links = {name: reverse("admin:accounts_client_change", args=[pk]) for name, _, pk in found}
    return rows([(name, requests) for name, requests, _ in found], links=links)


def silent_keys(now: datetime) -> list[Key]:
    """Active keys that nobody used for a week: first those never used, then those silent longest."""
    since = now - SILENT_AFTER
    active = Key.objects.filter(status=KeyStatus.ACTIVE).select_related("client")
    unused = active.filter(last_used_at__isnull=True)
    # Older versions noted no time for keys that were active at once; few are looked at, since no index has them in
    # order, and there may be a million.
    undated = unused.filter(decided_at__isnull=True).order_by()[: 10 * LISTED]
    old = [key for key in undated if key.registered_at < since]
    never = [*old, *unused.filter(decided_at__lt=since).order_by("decided_at")[:LISTED]]
    long_ago = active.filter(last_used_at__lt=since).order_by("last_used_at")[:LISTED]
    return [*never, *long_ago][:LISTED]


def _verified(hours: list[datetime]) -> list[int]:
    """Each hour's sum: the job's, or one of our own where the hour is running or the job is behind."""
    totals = {total.hour: total for total in HourTotal.objects.filter(hour__in=hours)}
    return [
        totals[hour].verified if hour in totals and totals[hour].settled else _counted(hour, totals.get(hour))
        for hour in hours
    ]


def _counted(hour: datetime, summed: HourTotal | None) -> int:
    counters = KeyUsage.objects.filter(hour=hour).order_by("-count").values("count")[:COUNTERS_READ]
    counted = counters.aggregate(total=Sum("count"))["total"] or 0
    return max(counted, summed.verified if summed else 0)


def _refused(hours: list[datetime]) -> list[int]:
    totals = dict(
        RefusalCount.objects.filter(hour__gte=hours[0]).values_list("hour").annotate(total=Sum("count"))
    )
    return [totals.get(hour, 0) for hour in hours]


def _fresh(name: str, make: Callable[[], T]) -> T:
    """What `make` gives, at most a minute old."""
    value: T | None = cache.get(name)
    if value is None:
        value = make()
        cache.set(name, value, FRESH_SECONDS)
    return value


def _capped(rows_of: QuerySet[Any], *, cap: int) -> int:
    """How many rows, counted to `cap` + 1."""
    return capped_count(rows_of, cap + 1)


def _plus(count: int, cap: int) -> str:
    return f"{cap:,}+" if count > cap else f"{count:,}"


def _with_plus(bar: Row) -> Row:
    return replace(bar, text=_plus(bar.value, CAP))
