"""Everything under /api/v1/, and under /api/ as its alias."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

from accounts.api.urls import urlpatterns as accounts_urlpatterns
from keys.api.urls import urlpatterns as keys_urlpatterns
from project.api.routes import grouped, route
from project.api.system import AuthMeView, AuthStatusView, AuthTestView, SystemStatusView
from project.api.tasks import TaskCancelView, TaskReportView, TaskView
from schemas.api.urls import urlpatterns as schemas_urlpatterns

_calls: list[URLPattern] = [
    *schemas_urlpatterns,  # first: they are asked most
    *route("system/status", SystemStatusView.as_view(), "system-status"),
    *route("auth/status", AuthStatusView.as_view(), "auth-status"),
    *route("auth/me", AuthMeView.as_view(), "auth-me"),
    *route("auth/test", AuthTestView.as_view(), "auth-test"),
    *keys_urlpatterns,
    *accounts_urlpatterns,
    *route("tasks/<str:task_id>", TaskView.as_view(), "task"),
    *route("tasks/<str:task_id>/cancel", TaskCancelView.as_view(), "task-cancel"),
    *route("tasks/<str:task_id>/report", TaskReportView.as_view(), "task-report"),
]

urlpatterns: list[URLPattern | URLResolver] = grouped(_calls)
