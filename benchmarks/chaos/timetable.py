"""The project's Celery app with a timetable of seconds: what is due each minute is due every five seconds.

So every fault meets jobs at work, and a short run shows whether they lose or repeat anything.
"""

from __future__ import annotations

from project.celery import app

EVERY_SECONDS = 5.0
OFTEN = 60.0

for _entry in app.conf.beat_schedule.values():
    if _entry["schedule"].total_seconds() <= OFTEN:
        _entry["schedule"] = EVERY_SECONDS
        _entry["options"] = {"expires": EVERY_SECONDS}
