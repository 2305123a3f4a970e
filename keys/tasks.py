"""Celery's side of the background work: one task that runs a job by its name."""

from __future__ import annotations

from keys import jobs
from project.celery import app


@app.task(name="keys.tasks.run_job")
def run_job(name: str) -> dict[str, int]:
    """Run the background job `name` (see `keys.jobs.JOBS`); returns what it did, in numbers."""
    return dict(jobs.run(name))
