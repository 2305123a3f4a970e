"""Validating a file in the background."""

from __future__ import annotations

import uuid
from datetime import timedelta
from pathlib import Path

from django.db import models
from django.db.models import Q

from accounts.models import Client
from project.uploads import uploads_folder
from schemas.models.version import SchemaVersion


class JobState(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


UNFINISHED = (JobState.QUEUED, JobState.RUNNING)
LEASE = timedelta(seconds=60)
"""A worker that has not been heard of for this long is taken for dead."""


class Media(models.TextChoices):
    NDJSON = "ndjson"
    CSV = "csv"
    JSON = "json"


class ValidationJob(models.Model):
    """One uploaded file on its way through a version's validator.

    The counts, `offset` and `report_bytes` are of one moment: a worker that takes over goes on from
    there. `worker` is whose turn it is; its lease ends when `heartbeat_at` is too old.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    version = models.ForeignKey(SchemaVersion, models.CASCADE, related_name="validation_jobs")
    client = models.ForeignKey(Client, models.CASCADE, null=True, related_name="+")
    state = models.CharField(max_length=16, choices=JobState, default=JobState.QUEUED)
    cancel_requested = models.BooleanField(default=False)
    error = models.CharField(max_length=500, blank=True)

    file = models.CharField(max_length=64, help_text="Name in the uploads folder.")
    media = models.CharField(max_length=16, choices=Media)
    gzipped = models.BooleanField(default=False)
    size = models.PositiveBigIntegerField(help_text="Bytes of the upload.")

    offset = models.PositiveBigIntegerField(default=0, help_text="Unpacked bytes that are done.")
    position = models.PositiveBigIntegerField(default=0, help_text="Bytes of the upload that are read.")
    records = models.PositiveBigIntegerField(default=0)
    invalid = models.PositiveBigIntegerField(default=0)
    first_problems = models.JSONField(default=list)
    report_bytes = models.PositiveBigIntegerField(default=0)
    report_complete = models.BooleanField(default=True)

    worker = models.CharField(max_length=32, blank=True)
    attempts = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="Workers that took it since it last came on."
    )
    heartbeat_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(condition=Q(state__in=JobState.values), name="validation_job_state_known")
        ]
        indexes = [
            models.Index(fields=["client", "-created_at"], name="validation_job_by_client"),
            models.Index(
                fields=["heartbeat_at"],
                condition=Q(state__in=["queued", "running"]),
                name="validation_job_due",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.id}: {self.state}"

    @property
    def upload_path(self) -> Path:
        return uploads_folder() / self.file

    @property
    def report_path(self) -> Path:
        return uploads_folder() / f"{self.file}.report.ndjson"
