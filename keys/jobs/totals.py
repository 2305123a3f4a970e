"""What all keys together did in each hour, summed once and not for every look at the dashboard."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Sum

from accounts.jobs import Counts
from keys.models import HourTotal, KeyUsage

HOURS = 24
LAST_FLUSH = timedelta(minutes=5)


def sum_traffic(now: datetime) -> Counts:
    """Sum the running hour, and every hour of the last day that is not settled yet.

    Two at once write the same sums; after days without a run the last day is made up for.
    """
    hours = last_hours(now, HOURS)
    settled = set(HourTotal.objects.filter(hour__in=hours, settled=True).values_list("hour", flat=True))
    open_hours = [hour for hour in hours if hour not in settled]
    rows = [
        HourTotal(
            hour=hour,
            verified=KeyUsage.objects.filter(hour=hour).aggregate(total=Sum("count"))["total"] or 0,
            settled=now >= hour + timedelta(hours=1) + LAST_FLUSH,
        )
        for hour in open_hours
    ]
    HourTotal.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["hour"], update_fields=["verified", "settled"]
    )
    return {"hours": sum(row.settled for row in rows)}


def last_hours(now: datetime, count: int) -> list[datetime]:
    """The beginnings of the last `count` hours, oldest first; the last one is running."""
    running = now.replace(minute=0, second=0, microsecond=0)
    return [running - timedelta(hours=back) for back in range(count - 1, -1, -1)]
