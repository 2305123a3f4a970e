from __future__ import annotations

from django.urls import URLPattern

from project.api.routes import route
from schemas.api.checks import CompatibilityView, ReadersView, ReferencedByView, ValidateView
from schemas.api.files import ValidateFileView
from schemas.api.schemas import SchemaDetailView, SchemaListView
from schemas.api.versions import LatestVersionView, ReceiptView, VersionDetailView, VersionListView

VERSION = "schemas/<str:name>/versions/<int:number>"

urlpatterns: list[URLPattern] = [
    *route(VERSION, VersionDetailView.as_view(), "schema-version"),
    *route("schemas", SchemaListView.as_view(), "schema-list"),
    *route("schemas/<str:name>", SchemaDetailView.as_view(), "schema-detail"),
    *route("schemas/<str:name>/versions", VersionListView.as_view(), "schema-versions"),
    *route("schemas/<str:name>/versions/latest", LatestVersionView.as_view(), "schema-latest"),
    *route(f"{VERSION}/receipt", ReceiptView.as_view(), "schema-receipt"),
    *route(f"{VERSION}/validate", ValidateView.as_view(), "schema-validate"),
    *route(f"{VERSION}/validate-file", ValidateFileView.as_view(), "schema-validate-file"),
    *route("schemas/<str:name>/compatibility", CompatibilityView.as_view(), "schema-compatibility"),
    *route("schemas/<str:name>/referenced-by", ReferencedByView.as_view(), "schema-referenced-by"),
    *route("schemas/<str:name>/readers", ReadersView.as_view(), "schema-readers"),
]
