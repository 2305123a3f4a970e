"""Celery tasks of the schemas, in the queue `files`; the jobs on a timetable are in `schemas.jobs`."""

from __future__ import annotations

from uuid import UUID

from project.celery import app
from schemas.files.runner import run_job


@app.task(name="schemas.tasks.validate_file", ignore_result=True)
def validate_file(job_pk: str) -> None:
    """Validate an uploaded file. Delivered twice it runs once; after a killed worker it goes on."""
    run_job(UUID(job_pk))
