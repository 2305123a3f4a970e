"""Every path of the server."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views.decorators.gzip import gzip_page
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerView

from accounts.authentication.views import admin_login
from keys.api.directory import directory_view
from project import health
from project.api.document import openapi_document
from project.metrics.views import metrics_view
from project.pages import home
from project.security.redoc import redoc_bundle

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", include("project.api.urls")),
    path("api/", include("project.api.urls")),
    path("", home, name="home"),
    path("favicon.ico", RedirectView.as_view(url="/static/datafold/favicon.svg", permanent=True)),
    path("account/", include("accounts.authentication.urls")),
    path("admin/login/", admin_login),
    path("admin/password_change/", RedirectView.as_view(pattern_name="account_change_password")),
    path("admin/", admin.site.urls),
    re_path(r"^health/?$", health.summary, name="health"),
    re_path(r"^health/live/?$", health.live, name="health-live"),
    re_path(r"^health/ready/?$", health.ready, name="health-ready"),
    re_path(r"^health/detailed/?$", health.detailed, name="health-detailed"),
    path("metrics", metrics_view, name="metrics"),
    path(".well-known/http-message-signatures-directory", directory_view, name="key-directory"),
    path("openapi.json", openapi_document, name="openapi"),
    re_path(r"^docs/?$", SpectacularSwaggerView.as_view(url_name="openapi"), name="docs"),
    path("redoc/bundles/redoc.standalone.js", gzip_page(redoc_bundle), name="redoc-bundle"),
    re_path(r"^redoc/?$", SpectacularRedocView.as_view(url_name="openapi"), name="redoc"),
]

handler400 = "project.api.errors.bad_request"
handler403 = "project.api.errors.permission_denied"
handler404 = "project.api.errors.not_found"
handler500 = "project.api.errors.server_error"
