"""Files that are being validated, and how far each came."""

from __future__ import annotations

from django.contrib import admin
from unfold.decorators import display

from project.admin_base import ReadOnlyAdmin
from schemas.files.jobs import describe
from schemas.models import JobState, ValidationJob

STATE_LABELS = {
    JobState.QUEUED.label: "info",
    JobState.RUNNING.label: "info",
    JobState.DONE.label: "success",
    JobState.FAILED.label: "danger",
    JobState.CANCELLED.label: "warning",
}


@admin.register(ValidationJob)
class ValidationJobAdmin(ReadOnlyAdmin):
    list_display = [
        "id",
        "show_state",
        "version",
        "client",
        "show_progress",
        "records",
        "invalid",
        "created_at",
    ]
    list_filter = ["state", "media"]
    list_select_related = ["version__schema", "client"]
    fields = [
        "id",
        "version",
        "client",
        "state",
        "show_progress",
        "error",
        "media",
        "gzipped",
        "size",
        "records",
        "invalid",
        "first_problems",
        "created_at",
        "started_at",
        "finished_at",
    ]
    readonly_fields = ["id", "show_progress", "created_at"]

    @display(description="state", label=STATE_LABELS)
    def show_state(self, job: ValidationJob) -> str:
        return job.get_state_display()

    @display(description="progress")
    def show_progress(self, job: ValidationJob) -> str:
        return f"{describe(job)['progress']:.1%}"
