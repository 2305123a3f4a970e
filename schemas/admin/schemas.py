"""Schemas: looked at here, decided on the confirmation pages, changed by nothing else."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from import_export.resources import ModelResource
from unfold.decorators import display

from accounts.models import AuditEvent
from project.admin_base import ReadOnlyAdmin, client_link, described
from project.export import ExportableAdmin
from schemas import usage
from schemas.admin.decide import decide_schema
from schemas.admin.diff import report_of, side_by_side
from schemas.admin.verbs import VERBS
from schemas.models import Schema, SchemaState, SchemaVersion
from schemas.models.schema import SchemaQuerySet
from schemas.references import referring_versions
from schemas.settings import writer_ids
from schemas.verdicts import break_glass_open

RECENT_EVENTS = 8
SHOWN_VERSIONS = 50
OFFERED_VERSIONS = 200
HEAVY = ("content", "canonical", "receipt")
"""What a list of versions does not show, and may be a megabyte of each."""
STATE_LABELS = {
    SchemaState.AVAILABLE.label: "info",
    SchemaState.APPROVED.label: "success",
    SchemaState.DEPRECATED.label: "warning",
    SchemaState.BLOCKED.label: "danger",
}


class SchemaResource(ModelResource):  # type: ignore[misc]
    class Meta:
        model = Schema
        fields = (
            "name",
            "description",
            "owner__client_id",
            "state",
            "state_reason",
            "compatibility",
            "served_number",
            "served_format",
            "deprecated_on",
            "deprecated_for__name",
            "created_at",
            "updated_at",
            "deleted_at",
        )


class LifeFilter(admin.SimpleListFilter):
    """Deleted schemas are shown only to whoever asks for them."""

    title = "deleted"
    parameter_name = "deleted"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Yes")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Schema]) -> QuerySet[Schema]:
        return queryset.filter(deleted_at__isnull=self.value() != "yes")


@admin.register(Schema)
class SchemaAdmin(ExportableAdmin, ReadOnlyAdmin):
    resource_classes = [SchemaResource]
    audit_kind = "schema"
    list_display = [
        "name",
        "show_state",
        "show_owner",
        "served_number",
        "served_format",
        "show_compatibility",
        "updated_at",
    ]
    list_filter = ["state", "served_format", "versions_need_approval", LifeFilter]
    list_select_related = ["owner"]
    search_fields = ["search_text"]
    search_help_text = "Text in the name, the description or a field's name."
    sortable_by = ["name", "updated_at"]
    change_form_outer_before_template = "schemas/schema_top.html"
    change_form_outer_after_template = "schemas/schema_panels.html"
    fieldsets = [
        ("Schema", {"fields": ["name", "description", "show_owner", "show_writers", "strict_writers_only"]}),
        ("Rules", {"fields": ["show_compatibility", "versions_need_approval", "break_glass_until"]}),
        ("Dates", {"fields": ["created_at", "updated_at", "deleted_at"]}),
    ]
    readonly_fields = [
        "show_owner",
        "show_writers",
        "show_compatibility",
        "created_at",
        "updated_at",
        "deleted_at",
    ]

    @display(description="state", label=STATE_LABELS)
    def show_state(self, schema: Schema) -> str:
        return schema.get_state_display()

    @display(description="owner")
    def show_owner(self, schema: Schema) -> str:
        if schema.owner is None:
            return "-"
        return client_link(schema.owner)

    @display(description="compatibility")
    def show_compatibility(self, schema: Schema) -> str:
        return format_html("<code>{}</code>", schema.compatibility)

    @display(description="further writers")
    def show_writers(self, schema: Schema) -> str:
        return ", ".join(writer_ids(schema)) or "none"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Schema], search_term: str
    ) -> tuple[QuerySet[Schema], bool]:
        term = search_term.strip().lower()[:100]
        return (cast(SchemaQuerySet, queryset).holding(term) if term else queryset, False)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path(
                "<int:pk>/decide/<str:verb>/",
                wrap(lambda request, pk, verb: decide_schema(self, request, pk, verb)),
                name="schemas_schema_decide",
            ),
            path(
                "<int:pk>/diff/",
                wrap(lambda request, pk: self.diff_view(request, pk)),
                name="schemas_schema_diff",
            ),
            *super().get_urls(),
        ]

    def panels(self, request: HttpRequest, obj: Schema) -> dict[str, Any]:
        return schema_panels(request, obj)

    def diff_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Two versions of a schema, by default the two newest."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        schema = Schema.objects.filter(pk=pk).first()
        versions = list(schema.versions.defer(*HEAVY)[:OFFERED_VERSIONS]) if schema else []
        if schema is None or len(versions) < 2:
            raise Http404
        newest = schema.versions.get(pk=versions[0].pk)
        new = named_version(schema, request.GET.get("new", "")) or newest
        before = schema.versions.filter(number__lt=new.number).first()
        old = named_version(schema, request.GET.get("old", "")) or before or newest
        versions += [version for version in (new, old) if version not in versions]
        context = {
            **self.admin_site.each_context(request),
            "title": f"{schema.name}: v{old.number} and v{new.number}",
            "opts": self.opts,
            "schema": schema,
            "versions": versions,
            "old": old,
            "new": new,
            "rows": side_by_side(old.content, new.content),
            "report": report_of(old, new),
        }
        return TemplateResponse(request, "schemas/diff.html", context)


def named_version(schema: Schema, number: str) -> SchemaVersion | None:
    """The version of that number, as a query has it."""
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        return None
    return schema.versions.filter(number=int(number)).first()


def schema_panels(request: HttpRequest, schema: Schema) -> dict[str, Any]:
    """What the schema's page shows around its facts."""
    may = request.user.has_perm
    versions = list(schema.versions.defer(*HEAVY).select_related("author", "author_key")[:SHOWN_VERSIONS])
    for version in versions:
        version.schema = schema
    return {
        "schema": schema,
        "verbs": [verb for verb in VERBS.values() if may(verb.permission) and verb.possible(schema)],
        "versions": versions,
        "readers": usage.readers_of(schema)[:20],
        "referring": referring_versions(schema),
        "break_glass": break_glass_open(schema),
        "events": (
            described(
                list(
                    AuditEvent.objects.filter(target_kind="schema", target_id=str(schema.pk))[:RECENT_EVENTS]
                )
            )
            if may("accounts.view_auditevent")
            else None
        ),
    }
