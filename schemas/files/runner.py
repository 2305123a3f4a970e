"""One worker on one file: validate record by record, note how far it came, write the report."""

from __future__ import annotations

import gzip
import io
import json
import logging
import time
import uuid
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from typing import IO, Any, Final
from uuid import UUID

from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from project.errors import DomainError
from schemas.files.cells import cells_of
from schemas.files.records import (
    BadRecord,
    UnreadableFileError,
    read_csv,
    read_json_array,
    read_ndjson,
)
from schemas.files.unpacked import open_unpacked
from schemas.formats import Problem
from schemas.formats.validator import Validator
from schemas.models import LEASE, UNFINISHED, JobState, Media, ValidationJob
from schemas.validation import validator_of

log = logging.getLogger(__name__)

NOTE_SECONDS: Final = 1.0
BEAT_SECONDS: Final = 5.0

FIRST_PROBLEMS: Final = 20
PROBLEMS_PER_RECORD: Final = 10
MAX_REPORT_BYTES: Final = 100 * 1024 * 1024
MAX_ATTEMPTS: Final = 5
"""Of workers that died at one place of a file: the sixth says so in the place of dying, too."""
UNPACKED_FACTOR: Final = 16
"""A gzipped file may unpack to this many times the largest upload."""


class _Ended(Exception):
    """Stop here; `state` None where another worker has the job now."""

    def __init__(self, state: JobState | None, error: str = "") -> None:
        super().__init__(error)
        self.state = state
        self.error = error


def run_job(job_pk: UUID) -> None:
    """Do the job, from where it stands, unless somebody else is at it or it has ended."""
    job = _take(job_pk)
    if job is None:
        return
    try:
        _check_attempts(job)
        _run(job)
        state, error = JobState.DONE, ""
    except _Ended as end:
        if end.state is None:
            return
        state, error = end.state, end.error
    except UnreadableFileError as unreadable:
        state, error = JobState.FAILED, str(unreadable)
    except (gzip.BadGzipFile, EOFError, zlib.error) as broken:
        state, error = JobState.FAILED, f"The file is no sound gzip: {broken}."
    except (DomainError, FileNotFoundError) as refused:
        state, error = JobState.FAILED, getattr(refused, "message", "The uploaded file is gone.")
    except OSError as broken:
        log.exception("a file could not be validated", extra={"task": str(job.pk)})
        state, error = JobState.FAILED, f"The server's disk failed it: {broken.strerror}. Tell its operators."
    job.state, job.error = state, error[:500]
    job.finished_at = timezone.now()
    if _note(job, state=state, error=job.error, finished_at=job.finished_at):
        job.upload_path.unlink(missing_ok=True)


def _take(job_pk: UUID) -> ValidationJob | None:
    """Become the job's one worker: a compare-and-swap on a lease that has ended or never began."""
    now = timezone.now()
    worker = uuid.uuid4().hex
    free = Q(heartbeat_at__isnull=True) | Q(heartbeat_at__lt=now - LEASE)
    taken = ValidationJob.objects.filter(free, pk=job_pk, state__in=UNFINISHED).update(
        worker=worker, heartbeat_at=now, state=JobState.RUNNING, attempts=F("attempts") + 1
    )
    if not taken:
        return None
    job = ValidationJob.objects.select_related("version__schema").get(pk=job_pk)
    if job.started_at is None:
        job.started_at = now
    return job


def _check_attempts(job: ValidationJob) -> None:
    if job.attempts > MAX_ATTEMPTS:
        raise _Ended(
            JobState.FAILED,
            f"{MAX_ATTEMPTS} workers ended behind record {job.records} and came no further, so it was given up. "
            "Send the file in parts to find what they end at, and tell the server's operators.",
        )


def _run(job: ValidationJob) -> None:
    limit = settings.DATAFOLD_MAX_UPLOAD_BYTES * UNPACKED_FACTOR
    with ExitStack() as open_files:
        raw = open_files.enter_context(job.upload_path.open("rb", buffering=0))
        file = open_unpacked(raw, gzipped=job.gzipped, limit=limit, look=_Lookout(job).look)
        report = open_files.enter_context(_open_report(job))
        _validate(job, _records(job, file), validator_of(job.version), raw, report)


class _Lookout:
    """Gives a sign that the worker is alive, and hears whether it is still wanted, every `BEAT_SECONDS`."""

    def __init__(self, job: ValidationJob) -> None:
        self._job = job
        self._due = 0.0

    def look(self) -> None:
        """Raises `_Ended`."""
        if time.monotonic() < self._due:
            return
        mine = ValidationJob.objects.filter(pk=self._job.pk, worker=self._job.worker)
        if not mine.update(heartbeat_at=timezone.now()):
            raise _Ended(None)
        if mine.filter(cancel_requested=True).exists():
            raise _Ended(JobState.CANCELLED)
        self._due = time.monotonic() + BEAT_SECONDS


def _open_report(job: ValidationJob) -> IO[bytes]:
    """The report up to the last noted record: what a killed worker wrote behind it is written again."""
    path = job.report_path
    path.touch(mode=0o600)
    report = path.open("r+b")
    report.truncate(job.report_bytes)
    report.seek(job.report_bytes)
    return report


def _records(job: ValidationJob, file: IO[bytes]) -> Iterator[tuple[Any, int]]:
    if job.media == Media.CSV:
        return read_csv(file, job.offset, cells_of(job.version.format, job.version.content))
    return (read_json_array if job.media == Media.JSON else read_ndjson)(file, job.offset)


def _validate(
    job: ValidationJob,
    records: Iterator[tuple[Any, int]],
    validator: Validator,
    raw: io.FileIO,
    report: IO[bytes],
) -> None:
    """The loop that the speed hangs on: a valid record costs its parsing, its check, a counter and the time.

    The time is asked for at every record, since one alone may take as long as many others.
    """
    is_valid, monotonic = validator.is_valid, time.monotonic
    count = job.records
    next_note = monotonic() + NOTE_SECONDS
    begin = end = job.offset
    for record, end in records:
        count += 1
        if record.__class__ is BadRecord or not is_valid(record, length=end - begin):
            job.records = count
            _refuse(job, record, validator, report)
        begin = end
        if monotonic() >= next_note:
            job.records, job.offset, job.position = count, end, raw.tell()
            _note_progress(job, report)
            next_note = monotonic() + NOTE_SECONDS
    job.records, job.offset, job.position = count, end, job.size
    report.flush()


def _refuse(job: ValidationJob, record: Any, validator: Validator, report: IO[bytes]) -> None:
    if isinstance(record, BadRecord):
        problems = [Problem(record.code, "", record.message)]
    else:
        problems = validator.problems(record)[:PROBLEMS_PER_RECORD]
    job.invalid += 1
    entry = {"record": job.records, "problems": [problem.to_dict() for problem in problems]}
    if len(job.first_problems) < FIRST_PROBLEMS:
        job.first_problems.append(entry)
    line = json.dumps(entry).encode() + b"\n"
    if job.report_bytes + len(line) > MAX_REPORT_BYTES:
        job.report_complete = False
        return
    report.write(line)
    job.report_bytes += len(line)


def _note_progress(job: ValidationJob, report: IO[bytes]) -> None:
    report.flush()
    if not _note(job, attempts=0):
        raise _Ended(None)
    if ValidationJob.objects.filter(pk=job.pk, cancel_requested=True).exists():
        raise _Ended(JobState.CANCELLED)


def _note(job: ValidationJob, **also: Any) -> bool:
    """Write down how far the job came; false if it is another worker's by now."""
    written = ValidationJob.objects.filter(pk=job.pk, worker=job.worker).update(
        heartbeat_at=timezone.now(),
        started_at=job.started_at,
        offset=job.offset,
        position=job.position,
        records=job.records,
        invalid=job.invalid,
        first_problems=job.first_problems,
        report_bytes=job.report_bytes,
        report_complete=job.report_complete,
        **also,
    )
    return bool(written)
