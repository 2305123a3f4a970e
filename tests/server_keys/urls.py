"""The project's paths, and those of the views under test wherever the project does not serve them yet."""

from __future__ import annotations

from django.urls import path

from keys.api.directory import directory_view
from project.urls import urlpatterns as project_urlpatterns

urlpatterns = [
    *project_urlpatterns,
    path(".well-known/http-message-signatures-directory", directory_view),
]
