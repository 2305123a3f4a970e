"""Refused requests with their explanation: what a client's developer asks about, by request id."""

from __future__ import annotations

import json
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import display

from keys.models import Refusal
from project.admin_base import ReadOnlyAdmin
from project.api.catalogue import CATALOGUE


class CodeFilter(admin.SimpleListFilter):
    title = "code"
    parameter_name = "code"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Refusal]) -> list[tuple[str, str]]:
        return [(code, code) for code in sorted(CATALOGUE)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Refusal]) -> QuerySet[Refusal]:
        return queryset.filter(code=self.value()) if self.value() else queryset


@admin.register(Refusal)
class RefusalAdmin(ReadOnlyAdmin):
    list_display = ["when", "code", "claimed_client_id", "method", "short_path", "address", "request_id"]
    list_display_links = ["when"]
    list_filter = [CodeFilter]
    search_fields = ["request_id"]
    search_help_text = "A request id, or a client_id as the request claimed it, exactly."
    sortable_by: list[str] = []
    fieldsets = [
        (None, {"fields": ["when", "code", "message", "cause", "cure", "show_details"]}),
        ("Request", {"fields": ["request_id", "method", "path", "address", "show_client"]}),
    ]
    readonly_fields = ["when", "cause", "cure", "show_details", "show_client"]

    @admin.display(description="time")
    def when(self, refusal: Refusal) -> str:
        return f"{refusal.created_at:%Y-%m-%d %H:%M:%S}"

    @display(description="path")
    def short_path(self, refusal: Refusal) -> str:
        return refusal.path if len(refusal.path) < 50 else refusal.path[:47] + "…"

    @display(description="what causes this")
    def cause(self, refusal: Refusal) -> str:
        entry = CATALOGUE.get(refusal.code)
        return entry.cause if entry else "-"

    @display(description="what the client should do")
    def cure(self, refusal: Refusal) -> str:
        entry = CATALOGUE.get(refusal.code)
        return entry.cure if entry else "-"

    @display(description="client, as claimed")
    def show_client(self, refusal: Refusal) -> str:
        if not refusal.claimed_client_id:
            return "-"
        found = (
            reverse("admin:accounts_client_changelist") + "?" + urlencode({"q": refusal.claimed_client_id})
        )
        return format_html(
            '<a class="df-link" href="{}">{}</a> (not verified)', found, refusal.claimed_client_id
        )

    @display(description="details")
    def show_details(self, refusal: Refusal) -> str:
        return format_html(
            '<pre class="df-pre">{}</pre>', json.dumps(refusal.details, indent=2, ensure_ascii=False)
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Refusal], search_term: str
    ) -> tuple[QuerySet[Refusal], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        by_request = queryset.filter(request_id=term)
        return (by_request if by_request.exists() else queryset.filter(claimed_client_id=term)), False
