"""App configuration of `schemas`."""

from __future__ import annotations

from django.apps import AppConfig


class SchemasConfig(AppConfig):
    name = "schemas"

    def ready(self) -> None:
        """Put the registry's background jobs on the list that housekeeping and Celery run."""
        from keys.jobs import JOBS
        from schemas import jobs

        JOBS.update((job.name, job) for job in jobs.JOBS)
