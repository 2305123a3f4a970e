"""One version: what it says, who wrote it, with which key, and that its receipt verifies."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import URLPattern, path
from unfold.decorators import display

from project.admin_base import ReadOnlyAdmin
from schemas import access
from schemas.admin.decide import approve_version
from schemas.models import SchemaVersion
from schemas.proof import prove
from schemas.suspects import is_suspect

MAX_SHOWN = 200_000
VERDICT_TAGS = {
    "verified": ("good", "The receipt verifies"),
    "suspect": ("warn", "The receipt verifies, but its key was compromised before"),
    "broken": ("bad", "The receipt does not hold"),
    "unsigned": ("warn", "Written without authentication: there is no receipt"),
}


@admin.register(SchemaVersion)
class SchemaVersionAdmin(ReadOnlyAdmin):
    list_display = [
        "__str__",
        "version",
        "format",
        "show_author",
        "show_served",
        "show_suspect",
        "created_at",
    ]
    list_filter = ["format", ("approved_at", admin.EmptyFieldListFilter)]
    list_select_related = ["schema", "author", "author_key"]
    search_fields = ["schema__name"]
    search_help_text = "Name of the schema."
    ordering = ["-created_at"]
    sortable_by = ["created_at"]
    audit_kind = "schema"
    change_form_outer_before_template = "schemas/version_top.html"
    fields = ["version", "format", "fingerprint", "created_at", "approved_at", "approved_by"]

    def audit_id(self, obj: SchemaVersion) -> str:
        """A version's history is its schema's."""
        return str(obj.schema_id)

    @display(description="author")
    def show_author(self, version: SchemaVersion) -> str:
        return version.author.client_id if version.author else "-"

    @display(description="served", boolean=True)
    def show_served(self, version: SchemaVersion) -> bool:
        return access.is_served(version)

    @display(description="suspect", boolean=True)
    def show_suspect(self, version: SchemaVersion) -> bool:
        return is_suspect(version)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path(
                "<int:pk>/approve/",
                wrap(lambda request, pk: approve_version(self, request, pk)),
                name="schemas_schemaversion_approve",
            ),
            *super().get_urls(),
        ]

    def panels(self, request: HttpRequest, obj: SchemaVersion) -> dict[str, Any]:
        return version_panels(request, obj)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return False  # reached from its schema


def version_panels(request: HttpRequest, version: SchemaVersion) -> dict[str, Any]:
    proof = prove(version)
    text = json.dumps(version.content, indent=2, ensure_ascii=False)
    return {
        "version": version,
        "proof": proof,
        "tag": VERDICT_TAGS[proof.verdict],
        "served": access.is_served(version),
        "may_approve": version.approved_at is None
        and version.schema.versions_need_approval
        and request.user.has_perm("schemas.approve_schema"),
        "content": text[:MAX_SHOWN],
        "cut": len(text) > MAX_SHOWN,
        "previous": version.schema.versions.filter(number__lt=version.number).first(),
        "references": version.references.select_related("target__schema"),
    }
