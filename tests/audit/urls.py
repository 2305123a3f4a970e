"""The project's paths, with those of the audit views wherever the project does not serve them yet."""

from __future__ import annotations

from django.urls import path

from accounts.api.audit import CheckpointListView, EventProofView, LatestCheckpointView
from project.urls import urlpatterns as project_urlpatterns

urlpatterns = [
    *project_urlpatterns,
    path("api/v1/audit/checkpoints/latest", LatestCheckpointView.as_view()),
    path("api/v1/audit/checkpoints", CheckpointListView.as_view()),
    path("api/v1/audit/events/<int:event_id>/proof", EventProofView.as_view()),
]
