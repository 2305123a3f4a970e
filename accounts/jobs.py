"""Background jobs: what one is, and how it runs with its outcome on record.

A job is safe to run twice, also at once, and makes up for runs that never happened. So nothing
here locks: the record says when a job ran, it does not decide whether it may.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from accounts.models import JobRun

log = logging.getLogger(__name__)

Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of background work.

    Args:
        name: stable; the name of its `JobRun` and of its task.
        run: does what is due at the moment it is given; returns what it did, in numbers.
        every: how often it should run; health calls it late after three times as long.
    """

    name: str
    run: Callable[[datetime], Counts]
    every: timedelta


def run_job(job: Job) -> Counts:
    """Run the job now and record how it went. What it raises is recorded and raised again."""
    started = timezone.now()
    JobRun.objects.update_or_create(name=job.name, defaults={"last_started": started})
    try:
        counts = dict(job.run(started))
    except Exception as error:
        JobRun.objects.filter(name=job.name).update(last_error=f"{type(error).__name__}: {error}"[:500])
        raise
    JobRun.objects.filter(name=job.name).update(
        last_finished=timezone.now(), complete_until=started, last_result=counts, last_error=""
    )
    if any(counts.values()):
        log.info("job done", extra={"job": job.name, **counts})
    return counts


def complete_until(name: str) -> datetime | None:
    """Up to when the job of that name has done everything; None if it never ran through."""
    return JobRun.objects.values_list("complete_until", flat=True).filter(name=name).first()
