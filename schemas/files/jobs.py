"""Jobs over uploaded files: start, cancel, find, resume, forget."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.http import FileResponse
from django.utils import timezone

from project import queues
from project.api.envelope import rfc3339
from project.errors import DomainError
from project.uploads import uploads_folder
from schemas.errors import TaskNotFound, TaskStateConflict
from schemas.files.worker import start_in_background
from schemas.models import LEASE, UNFINISHED, JobState, Media, SchemaVersion, ValidationJob

log = logging.getLogger(__name__)

_MEDIA_TYPES = {
    "application/x-ndjson": Media.NDJSON,
    "application/ndjson": Media.NDJSON,
    "application/jsonl": Media.NDJSON,
    "application/x-jsonlines": Media.NDJSON,
    "text/csv": Media.CSV,
    "application/json": Media.JSON,
}


MOST_QUEUED = 100
"""Tasks in the queue beyond which nothing is resumed: what waits there looks lost, too, and Redis is the nonces'."""


class MediaTypeUnknown(DomainError):
    code = "UNSUPPORTED_MEDIA_TYPE"


def media_of(content_type: str, content_encoding: str, named: str) -> tuple[Media, bool]:
    """What kind of file a request carries, and whether it is gzipped.

    Args:
        content_type: the field's value; `+gzip` may be appended to a media type that is known.
        content_encoding: the field's value.
        named: "ndjson", "csv" or "json" for a file that is just `application/gzip`; "" otherwise.

    Raises:
        MediaTypeUnknown
    """
    media_type = content_type.partition(";")[0].strip().lower()
    encoding = content_encoding.strip().lower()
    gzipped = encoding in ("gzip", "x-gzip")
    if media_type.endswith("+gzip"):
        media_type, gzipped = media_type.removesuffix("+gzip"), True
    if media_type in ("application/gzip", "application/x-gzip"):
        media_type, gzipped = "", True
        media = Media(named) if named in Media.values else None
    else:
        media = _MEDIA_TYPES.get(media_type)
    if media is None or encoding not in ("", "identity", "gzip", "x-gzip"):
        raise MediaTypeUnknown(
            "Send the file as application/x-ndjson, text/csv or application/json, gzipped (Content-Encoding: gzip) or "
            "not. For application/gzip say by ?media=ndjson, csv or json what is inside.",
            known=sorted(_MEDIA_TYPES),
        )
    return media, gzipped


def start(
    *, version: SchemaVersion, client_pk: int | None, path: Path, media: Media, gzipped: bool
) -> ValidationJob:
    """Queue the validation of an upload that lies at `path` in the uploads folder."""
    with transaction.atomic():
        job = ValidationJob.objects.create(
            version=version,
            client_id=client_pk,
            file=path.name,
            media=media,
            gzipped=gzipped,
            size=path.stat().st_size,
        )
        transaction.on_commit(lambda: start_in_background(job.pk))
    return job


def find_job(job_id: str, *, client_pk: int | None) -> ValidationJob:
    """The job, for whoever started it. Raises `TaskNotFound` for everybody else."""
    try:
        key = UUID(job_id)
    except ValueError:
        key = None
    jobs = ValidationJob.objects.select_related("version__schema")
    mine = Q(client__isnull=True) if client_pk is None else Q(client_id=client_pk)
    job = jobs.filter(mine, pk=key).first() if key else None
    if job is None:
        raise TaskNotFound("There is no such task, or somebody else started it. Check the id and who signs.")
    return job


def cancel(job: ValidationJob) -> ValidationJob:
    """Ask for the end of a job; a running one ends at its next look. Raises `TaskStateConflict`."""
    ValidationJob.objects.filter(pk=job.pk, state__in=UNFINISHED).update(cancel_requested=True)
    ended = ValidationJob.objects.filter(pk=job.pk, state=JobState.QUEUED).update(
        state=JobState.CANCELLED, finished_at=timezone.now()
    )
    job.refresh_from_db()
    if ended:
        job.upload_path.unlink(missing_ok=True)
    if not job.cancel_requested:
        raise TaskStateConflict(f"The task is {job.state} already, so there is nothing to cancel.")
    return job


def describe(job: ValidationJob) -> dict[str, Any]:
    """A job as its starter sees it. `progress` is between 0 and 1."""
    return {
        "id": str(job.pk),
        "kind": "validate-file",
        "state": job.state,
        "cancel_requested": job.cancel_requested,
        "progress": _progress(job),
        "schema": job.version.schema.name,
        "number": job.version.number,
        "media": job.media,
        "bytes": job.size,
        "error": job.error or None,
        "result": {
            "records": job.records,
            "valid": job.records - job.invalid,
            "invalid": job.invalid,
            "first_problems": job.first_problems,
            "report_complete": job.report_complete,
        },
        "created_at": rfc3339(job.created_at),
        "started_at": rfc3339(job.started_at) if job.started_at else None,
        "finished_at": rfc3339(job.finished_at) if job.finished_at else None,
    }


def _progress(job: ValidationJob) -> float:
    if job.state == JobState.DONE or not job.size:
        return 1.0
    return round(min(job.position / job.size, 0.999), 3)


def open_report(job: ValidationJob) -> FileResponse:
    """The report as a download. Raises `TaskNotFound` while there is none."""
    if not job.report_path.exists():
        raise TaskNotFound("The task has not begun, so there is no report yet. Try again later.")
    return FileResponse(
        job.report_path.open("rb"),
        as_attachment=True,
        filename=f"{job.version.schema.name}-{job.version.number}-report.ndjson",
        content_type="application/x-ndjson",
    )


def resume_lost(now: datetime) -> dict[str, int]:
    """Start again what a killed worker left behind, from its last noted record on.

    Raises:
        redis.RedisError, OSError: the broker does not answer.
    """
    lost = ValidationJob.objects.filter(state__in=UNFINISHED).filter(
        Q(heartbeat_at__lt=now - LEASE) | Q(heartbeat_at__isnull=True, created_at__lt=now - LEASE)
    )
    queued, _ = queues.state(queues.FILES)
    room = max(0, MOST_QUEUED - (queued or 0))
    keys = list(lost.order_by("created_at").values_list("pk", flat=True)[: room + 1])
    if len(keys) > room:
        log.error("%d tasks wait for a worker that takes the queue %s", queued or 0, queues.FILES)
    for key in keys[:room]:
        log.warning("validation taken up again", extra={"task": str(key)})
        start_in_background(key)
    return {"resumed": len(keys[:room])}


def purge(now: datetime) -> dict[str, int]:
    """Forget jobs that ended over DATAFOLD_UPLOAD_DAYS ago, and files that belong to no job."""
    end = now - timedelta(days=settings.DATAFOLD_UPLOAD_DAYS)
    old = list(ValidationJob.objects.exclude(state__in=UNFINISHED).filter(finished_at__lt=end)[:500])
    for job in old:
        job.upload_path.unlink(missing_ok=True)
        job.report_path.unlink(missing_ok=True)
    ValidationJob.objects.filter(pk__in=[job.pk for job in old]).delete()
    return {"jobs": len(old), "files": _purge_strays(now - timedelta(days=1))}


def _purge_strays(before: datetime) -> int:
    strays = 0
    for path in uploads_folder().iterdir():
        name = path.name.partition(".")[0]
        if path.stat().st_mtime >= before.timestamp() or ValidationJob.objects.filter(file=name).exists():
            continue
        path.unlink(missing_ok=True)
        strays += 1
    return strays
