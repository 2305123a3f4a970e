"""What the registry has done on a timetable: see `keys.jobs`, which runs these with its own."""

from __future__ import annotations

from datetime import datetime, timedelta

from accounts.jobs import Counts, Job
from schemas.files.jobs import purge, resume_lost
from schemas.usage import flush_reads


def flush_schema_reads(_: datetime) -> Counts:
    return {"reads": flush_reads()}


JOBS = (
    Job("flush-schema-reads", flush_schema_reads, timedelta(minutes=1)),
    Job("resume-validations", resume_lost, timedelta(minutes=1)),
    Job("purge-uploads", purge, timedelta(hours=1)),
)
