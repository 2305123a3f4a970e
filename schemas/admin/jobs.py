"""Files that are being validated, and how far each came."""

from __future__ import annotations

from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpRequest
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from unfold.decorators import display

from project.admin_base import ReadOnlyAdmin
from schemas.errors import TaskNotFound
from schemas.files.jobs import describe, open_report
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
        "show_problems",
        "show_report",
        "created_at",
        "started_at",
        "finished_at",
    ]
    readonly_fields = ["id", "show_progress", "show_problems", "show_report", "created_at"]

    @display(description="state", label=STATE_LABELS)
    def show_state(self, job: ValidationJob) -> str:
        return job.get_state_display()

    @display(description="first problems")
    def show_problems(self, job: ValidationJob) -> str:
        rows = (
            (entry["record"], problem["pointer"] or "/", problem["message"])
            for entry in job.first_problems
            for problem in entry["problems"]
        )
        return format_html_join("", "<div>record {}, <code>{}</code>: {}</div>", rows) or "none"

    @display(description="report")
    def show_report(self, job: ValidationJob) -> str:
        if not job.report_path.exists():
            return "not there any more" if job.finished_at else "not there yet"
        address = reverse("admin:schemas_validationjob_report", args=[job.pk])
        return format_html('<a class="df-link" href="{}">every refused record, NDJSON</a>', address)

    def get_urls(self) -> list[URLPattern]:
        report = path(
            "<uuid:job_id>/report/",
            self.admin_site.admin_view(self.report),
            name="schemas_validationjob_report",
        )
        return [report, *super().get_urls()]

    def report(self, request: HttpRequest, job_id: UUID) -> FileResponse:
        """The refused records, as a download for whoever may see the job."""
        job = self.get_queryset(request).select_related("version__schema").filter(pk=job_id).first()
        if job is None:
            raise Http404("There is no such validation.")
        if not self.has_view_permission(request, job):
            raise PermissionDenied
        try:
            return open_report(job)
        except TaskNotFound as error:
            raise Http404(error.message) from error

    @display(description="progress")
    def show_progress(self, job: ValidationJob) -> str:
        return f"{describe(job)['progress']:.1%}"
