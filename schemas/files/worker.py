"""Getting a job to run: on a Celery worker, or without a broker on a thread of this process."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from uuid import UUID

from django.conf import settings
from django.db import connections
from kombu.exceptions import OperationalError

log = logging.getLogger(__name__)


def start_in_background(job_pk: UUID) -> None:
    """Have the job run soon. Starting one twice is safe: it has one worker at a time.

    Where the broker is away the job stays queued, and `resume-validations` starts it once it is back.
    """
    if settings.CELERY_TASK_ALWAYS_EAGER:
        _threads().submit(_run_on_thread, job_pk)
        return
    from schemas.tasks import validate_file

    try:
        validate_file.delay(str(job_pk))
    except OperationalError as error:
        log.warning(
            "the broker is away: validation begins later", extra={"task": str(job_pk), "error": str(error)}
        )


@lru_cache(maxsize=1)
def _threads() -> ThreadPoolExecutor:
    """One at a time: a laptop has other things to do, too."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="validate-file")


def _run_on_thread(job_pk: UUID) -> None:
    from schemas.files.runner import run_job

    try:
        run_job(job_pk)
    except Exception:
        log.exception("validation ended by an error", extra={"task": str(job_pk)})
    finally:
        connections.close_all()
