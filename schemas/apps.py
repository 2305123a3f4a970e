"""App configuration of `schemas`."""

from __future__ import annotations

from django.apps import AppConfig


class SchemasConfig(AppConfig):
    name = "schemas"

    def ready(self) -> None:
        """Put the registry's background jobs on the list that housekeeping and Celery run.

        And have rendered versions forgotten when a key turns out to be compromised.
        """
        from keys.jobs import JOBS
        from keys.lifecycle import WHEN_COMPROMISED
        from schemas import jobs
        from schemas.suspects import mark_suspects

        JOBS.update((job.name, job) for job in jobs.JOBS)
        WHEN_COMPROMISED.append(mark_suspects)
