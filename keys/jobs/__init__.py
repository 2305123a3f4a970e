"""Every background job and how often it should run. Celery's tasks and `housekeeping` run these."""

from __future__ import annotations

from datetime import timedelta

from accounts.jobs import Counts, Job, run_job
from keys.jobs.purge import purge_replay_memory, purge_statistics
from keys.jobs.transitions import expire_keys, reject_stale_registrations, retire_keys

_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)

# In the order in which `housekeeping` runs them: usage is flushed before it is judged.
JOBS: dict[str, Job] = {
    job.name: job
    for job in (
        Job("expire-keys", expire_keys, _MINUTE),
        Job("retire-keys", retire_keys, _MINUTE),
        Job("reject-stale-registrations", reject_stale_registrations, _HOUR),
        Job("purge-replay-memory", purge_replay_memory, 5 * _MINUTE),
        Job("purge-statistics", purge_statistics, _HOUR),
    )
}


def run(name: str) -> Counts:
    """Run the job of that name now, on record."""
    return run_job(JOBS[name])
