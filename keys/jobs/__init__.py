"""Every background job and how often it runs. Celery's beat and `housekeeping` run these."""

from __future__ import annotations

from datetime import datetime, timedelta

from accounts.jobs import Counts, Job, run_job
from keys.jobs.notices import ask_for_rotation, summarise_the_day, warn_of_expiry
from keys.jobs.purge import purge_replay_memory, purge_sessions, purge_statistics
from keys.jobs.sealing import seal_audit_log, seal_late_events
from keys.jobs.totals import sum_traffic
from keys.jobs.transitions import FLUSH_USAGE, expire_keys, reject_stale_registrations, retire_keys
from keys.jobs.usage import flush_usage
from keys.server_keys import forget_retired

HEARTBEAT = "heartbeat"

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def heartbeat(now: datetime) -> Counts:
    """Nothing: that it ran shows that beat and a worker are alive."""
    return {}


# In the order in which `housekeeping` runs them: usage is flushed before it is judged.
JOBS: dict[str, Job] = {
    job.name: job
    for job in (
        Job(HEARTBEAT, heartbeat, timedelta(seconds=30)),
        Job(FLUSH_USAGE, flush_usage, _MINUTE),
        Job("sum-traffic", sum_traffic, _MINUTE),
        Job("expire-keys", expire_keys, _MINUTE),
        Job("retire-keys", retire_keys, _MINUTE),
        Job("reject-stale-registrations", reject_stale_registrations, _HOUR),
        Job("warn-of-expiry", warn_of_expiry, 15 * _MINUTE),
        Job("ask-for-rotation", ask_for_rotation, _MINUTE),
        Job("daily-summary", summarise_the_day, 15 * _MINUTE),
        Job("forget-server-keys", forget_retired, _HOUR),
        Job("purge-replay-memory", purge_replay_memory, 5 * _MINUTE),
        Job("purge-statistics", purge_statistics, _HOUR),
        Job("purge-sessions", purge_sessions, _HOUR),
        Job("seal-audit-log", seal_audit_log, _MINUTE),
        Job("seal-late-events", seal_late_events, _DAY),
    )
}


def run(name: str) -> Counts:
    """Run the job of that name now, on record."""
    return run_job(JOBS[name])
