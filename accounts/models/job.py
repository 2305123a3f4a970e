"""When each job last ran, for health, the dashboard and the jobs themselves."""

from __future__ import annotations

from django.db import models


class JobRun(models.Model):
    """One job of the background work. Written by `accounts.jobs.run_job`."""

    name = models.CharField(max_length=64, unique=True)
    last_started = models.DateTimeField(null=True)
    last_finished = models.DateTimeField(null=True, help_text="End of the last run that succeeded.")
    complete_until = models.DateTimeField(
        null=True, help_text="Start of the last run that succeeded: what was due by then is done."
    )
    last_result = models.JSONField(
        default=dict, help_text="What the last run that succeeded did, in numbers."
    )
    last_error = models.CharField(
        max_length=500, blank=True, help_text="Why the last run failed; empty if it did not."
    )

    class Meta:
        ordering = ["name"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.name
