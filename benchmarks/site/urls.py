"""The project's own paths, plus one path for each peer."""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, URLResolver, path
from rest_framework.permissions import AllowAny

from benchmarks.site import peers
from project.api.system import AuthMeView
from project.urls import handler404, handler500
from project.urls import urlpatterns as project_urlpatterns
from schemas.api.versions import VersionDetailView

__all__ = ["handler404", "handler500", "urlpatterns"]


class OpenVersionView(VersionDetailView):
    """DataFold's own view, without its authentication."""

    authentication_classes: list[Any] = []
    permission_classes = [AllowAny]


class BareVersionView(OpenVersionView):
    """The same without the limit that calls without a signature have; a signed call's is in its round trip."""

    throttle_classes: list[Any] = []


class OpenMeView(AuthMeView):
    authentication_classes: list[Any] = []
    permission_classes = [AllowAny]


urlpatterns: list[URLPattern | URLResolver] = [
    *project_urlpatterns,
    path("open/<str:name>/versions/<int:number>", OpenVersionView.as_view()),
    path("bare/<str:name>/versions/<int:number>", BareVersionView.as_view()),
    path("plain/<str:name>/<int:number>", peers.PlainView.as_view()),
    path("token/<str:name>/<int:number>", peers.TokenView.as_view()),
    path("hs256/<str:name>/<int:number>", peers.HS256View.as_view()),
    path("eddsa/<str:name>/<int:number>", peers.EdDSAView.as_view()),
    path("apikey/<str:name>/<int:number>", peers.ApiKeyView.as_view()),
    path("library/<str:name>/<int:number>", peers.LibraryView.as_view()),
]
