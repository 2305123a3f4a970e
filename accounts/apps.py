"""App configuration of `accounts`."""

from __future__ import annotations

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        from accounts import checks  # noqa: F401  registers the numbered checks
        from accounts.authentication import events  # noqa: F401  records logins
        from accounts.webhooks import checks as webhook_checks  # noqa: F401

        self._add_jobs()

    def _add_jobs(self) -> None:
        """Put webhooks' background jobs on the list that housekeeping and Celery run."""
        from accounts.webhooks import jobs
        from keys.jobs import JOBS

        JOBS.update((job.name, job) for job in jobs.JOBS)
