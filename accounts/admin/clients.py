"""Clients: what they may do, what they did lately, and the switches."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from import_export.resources import ModelResource
from unfold.decorators import display

from accounts.admin.forms import ClientForm, ReasonForm
from accounts.clients import (
    change_client,
    create_client,
    reactivate_client,
    snapshot,
    suspend_client,
)
from accounts.models import Client, ClientStatus
from keys.impact import client_usage_by_day, impact_of
from keys.models import VERIFYING, EnrolmentToken, Key, Refusal
from project.admin_base import ConsoleAdmin, note_refusal, operator
from project.charts import columns
from project.errors import DomainError
from project.export import ExportableAdmin
from project.search import clients_named

LISTED = 10
STATUS_LABELS = {ClientStatus.ACTIVE.label: "success", ClientStatus.SUSPENDED.label: "danger"}
SWITCHES = {
    "suspend": (suspend_client, ClientStatus.ACTIVE),
    "reactivate": (reactivate_client, ClientStatus.SUSPENDED),
}


class ClientResource(ModelResource):  # type: ignore[misc]
    class Meta:
        model = Client
        fields = (
            "client_id",
            "name",
            "owner__username",
            "contact_email",
            "status",
            "status_reason",
            "scopes",
            "profile",
            "allowed_networks",
            "rate_limit",
            "metadata",
            "created_at",
        )


@admin.register(Client)
class ClientAdmin(ExportableAdmin, ConsoleAdmin):
    form = ClientForm
    resource_classes = [ClientResource]
    audit_kind = "client"
    list_display = ["client_id", "name", "show_status", "show_owner", "profile", "key_count", "created_at"]
    list_filter = ["status", "profile"]
    search_fields = ["client_id"]
    search_help_text = "The beginning of a client_id or name."
    sortable_by = ["client_id", "created_at"]
    autocomplete_fields = ["owner"]
    change_form_outer_before_template = "admin/client_top.html"
    change_form_outer_after_template = "admin/client_panels.html"
    add_fieldsets = (
        (None, {"fields": ["client_id", "name", "owner", "contact_email"]}),
        ("What it may do", {"fields": ["scopes", "profile", "allowed_networks", "rate_limit"]}),
        ("Notes", {"fields": ["metadata", "seen"]}),
    )
    fieldsets = (
        (None, {"fields": ["name", "owner", "contact_email"]}),
        ("What it may do", {"fields": ["scopes", "profile", "allowed_networks", "rate_limit"]}),
        ("Notes", {"fields": ["metadata", "change_reason", "seen"]}),
    )

    def audit_id(self, obj: Client) -> str:
        return obj.client_id

    def get_queryset(self, request: HttpRequest) -> QuerySet[Client]:
        # A subquery is only counted for the rows that are shown; a join would group the whole table.
        held = (
            Key.objects.filter(client=OuterRef("pk")).order_by().values("client").annotate(held=Count("pk"))
        )
        queryset: QuerySet[Client] = super().get_queryset(request).select_related("owner")
        return queryset.annotate(keys_held=Coalesce(Subquery(held.values("held")), 0))

    def get_fieldsets(self, request: HttpRequest, obj: Client | None = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return fieldsets
        form_only = {"change_reason", "seen"}
        return [
            (title, {**options, "fields": [name for name in options["fields"] if name not in form_only]})
            for title, options in fieldsets
        ]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Client], search_term: str
    ) -> tuple[QuerySet[Client], bool]:
        if not search_term.strip():
            return queryset, False
        return queryset.filter(
            pk__in=[client.pk for client in clients_named(search_term.strip(), limit=200)]
        ), False

    def has_delete_permission(self, request: HttpRequest, obj: Client | None = None) -> bool:
        """A client with a history is suspended, never deleted."""
        return False

    @display(description="status", label=STATUS_LABELS, ordering="status")
    def show_status(self, client: Client) -> str:
        return client.get_status_display()

    @display(description="owner")
    def show_owner(self, client: Client) -> str:
        return client.owner.get_username() if client.owner else "-"

    @display(description="keys")
    def key_count(self, client: Any) -> int:
        return int(client.keys_held)

    def save_model(self, request: HttpRequest, obj: Client, form: ClientForm, change: bool) -> None:
        """Through the service, so that the change is audited and the workers hear of it."""
        values = form.changed_values()
        if change:
            change_client(
                obj, actor=operator(request), changes=values, reason=form.cleaned_data["change_reason"]
            )
        else:
            obj.pk = create_client(actor=operator(request), client_id=obj.client_id, **values).pk
        obj.refresh_from_db()

    def get_urls(self) -> list[URLPattern]:
        switch = self.admin_site.admin_view(self.switch_view)
        return [
            path("<int:client_pk>/<str:verb>/confirm/", switch, name="accounts_client_switch"),
            *super().get_urls(),
        ]

    def panels(self, request: HttpRequest, obj: Client) -> dict[str, Any]:
        return client_panels(request, obj)

    def switch_view(self, request: HttpRequest, client_pk: int, verb: str) -> HttpResponse:
        """Suspend or reactivate: a page that states the consequence, then a POST."""
        if verb not in SWITCHES:
            raise Http404
        if not request.user.has_perm("accounts.suspend_client"):
            raise PermissionDenied
        client = Client.objects.select_related("owner").filter(pk=client_pk).first()
        if client is None:
            raise Http404
        form = ReasonForm(request.POST or None)
        status = 200
        if request.method == "POST" and form.is_valid():
            try:
                client = SWITCHES[verb][0](
                    client,
                    actor=operator(request),
                    reason=form.cleaned_data["reason"],
                    seen=request.POST.get("seen", ""),
                )
            except DomainError as error:
                note_refusal(request, error.code)
                client.refresh_from_db()
                form.add_error(None, error.message)
                status = 409
            else:
                messages.success(request, f"{client.client_id} is {client.get_status_display().lower()} now.")
                return redirect("admin:accounts_client_change", client.pk)
        return TemplateResponse(
            request, "admin/client_switch.html", self._switch_page(request, client, verb, form), status=status
        )

    def _switch_page(
        self, request: HttpRequest, client: Client, verb: str, form: ReasonForm
    ) -> dict[str, Any]:
        keys = list(Key.objects.filter(client=client, status__in=VERIFYING).select_related("client")[:50])
        impact = impact_of(keys, now=timezone.now())
        return {
            **self.admin_site.each_context(request),
            "title": f"{verb.capitalize()} the client {client.client_id}",
            "client": client,
            "verb": verb,
            "possible": client.status == SWITCHES[verb][1],
            "form": form,
            "seen": snapshot(client),
            "verifying_keys": keys,
            "impact": impact,
            "impact_chart": week_chart(impact.days),
            "hide_successor": True,
            "hide_lone": verb != "suspend",
        }


def week_chart(days: list[Any]) -> Any:
    return columns(
        [f"{day:%a %d}" for day, _ in days],
        {"verified": [count for _, count in days]},
        description="Requests per day",
    )


def client_panels(request: HttpRequest, client: Client) -> dict[str, Any]:
    """What the client's page shows beside its form; each part only to who may see it."""
    may = request.user.has_perm
    usage = client_usage_by_day(client, days=30, now=timezone.now())
    verb = "suspend" if client.status == ClientStatus.ACTIVE else "reactivate"
    invite = reverse("admin:keys_enrolmenttoken_issue") + f"?client={client.pk}"
    return {
        "client": client,
        "keys": list(client.keys.select_related("client")[:LISTED]) if may("keys.view_key") else None,
        "tokens": (
            list(
                EnrolmentToken.objects.filter(client=client).select_related("issued_by", "used_for")[:LISTED]
            )
            if may("keys.view_enrolmenttoken")
            else None
        ),
        "refusals": (
            list(Refusal.objects.filter(claimed_client_id=client.client_id)[:LISTED])
            if may("keys.view_refusal")
            else None
        ),
        "usage_chart": columns(
            [f"{day:%d %b}" for day, _ in usage],
            {"verified": [count for _, count in usage]},
            description="Verified requests per day, last 30 days",
        ),
        "now": timezone.now(),
        "switch_verb": verb if may("accounts.suspend_client") else "",
        "switch_link": reverse("admin:accounts_client_switch", args=[client.pk, verb]),
        "invite_link": invite if may("keys.add_enrolmenttoken") else "",
    }
