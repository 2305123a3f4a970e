"""The Celery app and its timetable. Without a broker the same jobs run by `manage.py housekeeping`."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from celery import Celery
from celery.signals import beat_init

from project.telemetry import connect_celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

app = Celery("datafold")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
connect_celery(app)

_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)

# Beat reads this before Django is set up, so it cannot ask `keys.jobs.JOBS`; a test keeps the two equal.
TIMETABLE: dict[str, timedelta] = {
    "heartbeat": timedelta(seconds=30),
    "flush-usage": _MINUTE,
    "sum-traffic": _MINUTE,
    "expire-keys": _MINUTE,
    "retire-keys": _MINUTE,
    "reject-stale-registrations": _HOUR,
    "warn-of-expiry": 15 * _MINUTE,
    "ask-for-rotation": _MINUTE,
    "daily-summary": 15 * _MINUTE,
    "forget-server-keys": _HOUR,
    "purge-replay-memory": 5 * _MINUTE,
    "purge-statistics": _HOUR,
    "purge-sessions": _HOUR,
    "seal-audit-log": _MINUTE,
    "seal-late-events": timedelta(days=1),
    "flush-schema-reads": _MINUTE,
    "resume-validations": _MINUTE,
    "purge-uploads": _HOUR,
    "deliver-webhooks": timedelta(seconds=5),
    "purge-webhooks": _HOUR,
}


def _entry(name: str, every: timedelta) -> dict[str, Any]:
    # A run that no worker took before the next one is due would only repeat it.
    return {
        "task": "keys.tasks.run_job",
        "schedule": every,
        "args": (name,),
        "options": {"expires": every.total_seconds()},
    }


app.conf.beat_schedule = {name: _entry(name, every) for name, every in TIMETABLE.items()}


@beat_init.connect
def _first_heartbeat(**_: Any) -> None:
    """Beat waits out each interval before a first run: whoever starts it would see it as gone for as long."""
    app.send_task("keys.tasks.run_job", args=("heartbeat",))
