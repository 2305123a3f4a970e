"""The Celery app and its timetable. Without a broker the same jobs run by `manage.py housekeeping`."""

from __future__ import annotations

import os

from celery import Celery
from celery.schedules import crontab

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

app = Celery("datafold")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

app.conf.beat_schedule = {
    "expire-keys": {"task": "keys.tasks.expire_keys", "schedule": 60.0},
    "purge-replay-memory": {"task": "keys.tasks.purge_replay_memory", "schedule": 300.0},
    "flush-usage": {"task": "keys.tasks.flush_usage", "schedule": 60.0},
    "reject-stale-registrations": {
        "task": "keys.tasks.reject_stale_registrations",
        "schedule": crontab(minute="17", hour="3"),
    },
}
