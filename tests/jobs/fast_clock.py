"""The project's Celery app with a timetable of seconds, so that a test need not wait for minutes."""

from __future__ import annotations

from project.celery import app

for _entry in app.conf.beat_schedule.values():
    _entry["schedule"] = 1.0
