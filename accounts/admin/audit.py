"""The audit log: looked at and exported, never changed."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from import_export.resources import ModelResource
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.decorators import display

from accounts.models import AuditEvent, AuditSeal, User
from project.admin_base import ReadOnlyAdmin, change_rows
from project.export import ExportableAdmin

# A list and not SELECT DISTINCT: that would read 10⁷ events to offer a choice.
ACTIONS = [
    "client.changed",
    "client.created",
    "client.reactivated",
    "client.suspended",
    "enrolment_token.issued",
    "enrolment_token.withdrawn",
    "key.approval_recorded",
    "key.approved",
    "key.compromised",
    "key.decision_refused",
    "key.expired",
    "key.reactivated",
    "key.registered",
    "key.rejected",
    "key.retired",
    "key.retiring",
    "key.revoked",
    "key.rolled_back",
    "key.rotated",
    "key.rotation_requested",
    "key.suspended",
    "key.updated",
    "operator.changed",
    "operator.created",
    "operator.deactivated",
    "operator.locked_out",
    "operator.logged_in",
    "operator.logged_out",
    "operator.login_failed",
    "operator.password_changed",
    "operator.password_login_allowed",
    "operator.reactivated",
    "operator.recovery_codes_renewed",
    "operator.refused",
    "operator.second_factor_added",
    "operator.second_factor_removed",
    "operator.second_factor_reset",
    "operator.tokens_revoked",
    "operator.unlocked",
    "schema.approved",
    "schema.blocked",
    "schema.break_glass_closed",
    "schema.break_glass_opened",
    "schema.break_glass_used",
    "schema.created",
    "schema.deleted",
    "schema.deprecated",
    "schema.erased",
    "schema.owner_changed",
    "schema.unblocked",
    "schema.updated",
    "schema.version_added",
    "schema.version_approved",
    "schema.version_created",
    "server_key.created",
    "server_key.rotated",
    "webhook.changed",
    "webhook.created",
    "webhook.deleted",
    "webhook.disabled",
    "webhook.paused",
    "webhook.redelivered",
    "webhook.resumed",
    "webhook.tested",
]

# By the target's kind; what events say of these is the primary key.
TARGET_PAGES = {
    "key": "keys_key",
    "operator": "accounts_user",
    "enrolment_token": "keys_enrolmenttoken",
    "schema": "schemas_schema",
    "webhook": "accounts_webhook",
}


class ActionFilter(admin.SimpleListFilter):
    title = "action"
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(action, action) for action in ACTIONS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
        return queryset.filter(action=self.value()) if self.value() else queryset


class AuditEventResource(ModelResource):  # type: ignore[misc]
    class Meta:
        model = AuditEvent


@admin.register(AuditEvent)
class AuditEventAdmin(ExportableAdmin, ReadOnlyAdmin):
    resource_classes = [AuditEventResource]
    list_display = ["when", "show_action", "show_target", "show_actor", "short_reason", "address"]
    list_display_links = ["when"]
    list_filter = [ActionFilter, "actor_kind", ("created_at", RangeDateTimeFilter)]
    search_fields = ["request_id"]
    search_help_text = "A request id, an operator, a client_id, or a key's registration id, exactly."
    sortable_by: list[str] = []
    fields = [
        "when",
        "show_action",
        "show_target",
        "show_actor",
        "actor_key",
        "reason",
        "request_link",
        "address",
    ]
    readonly_fields = ["when", "show_actor", "show_action", "show_target", "request_link"]
    change_form_outer_after_template = "admin/audit_event_panel.html"

    @admin.display(description="time", ordering="id")
    def when(self, event: AuditEvent) -> str:
        return f"{event.created_at:%Y-%m-%d %H:%M:%S}"

    def get_fields(self, request: HttpRequest, obj: AuditEvent | None = None) -> list[str]:
        """Without what this event does not have."""
        empty = {name for name in ("actor_key", "reason", "address") if obj and not getattr(obj, name)}
        if obj and not obj.request_id:
            empty.add("request_link")
        return [name for name in self.fields if name not in empty]

    def panels(self, request: HttpRequest, obj: AuditEvent) -> dict[str, Any]:
        seal = AuditSeal.objects.select_related("checkpoint").filter(event=obj).first()
        return {"event": obj, "changes": change_rows(obj.before, obj.after), "seal": seal}

    @display(description="action")
    def show_action(self, event: AuditEvent) -> str:
        return event.action

    @display(description="actor")
    def show_actor(self, event: AuditEvent) -> str:
        return f"{event.actor_label or event.actor_kind} ({event.actor_kind})"

    @display(description="target")
    def show_target(self, event: AuditEvent) -> str:
        link = target_link(event)
        if not link:
            return event.target_label
        return format_html('<a class="df-link" href="{}">{}</a>', link, event.target_label or event.target_id)

    @display(description="reason")
    def short_reason(self, event: AuditEvent) -> str:
        return event.reason if len(event.reason) < 60 else event.reason[:57] + "…"

    @display(description="request id")
    def request_link(self, event: AuditEvent) -> str:
        if not event.request_id:
            return "-"
        everything = reverse("admin:accounts_auditevent_changelist") + f"?q={event.request_id}"
        return format_html('<a class="df-link" href="{}">{}</a>', everything, event.request_id)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEvent], search_term: str
    ) -> tuple[QuerySet[AuditEvent], bool]:
        """Exact matches only: each is one index, at any size of the log."""
        term = search_term.strip()
        if not term:
            return queryset, False
        user = User.objects.filter(username=term).first()
        if user is not None:
            return queryset.filter(actor_kind=AuditEvent.ActorKind.OPERATOR, actor_id=str(user.pk)), False
        for field in ("request_id", "target_id", "actor_id", "actor_label", "target_label"):
            # The first three are indexed; the labels only decide among the newest events.
            pool = queryset.filter(pk__in=_newest_ids()) if field.endswith("label") else queryset
            pool = _narrowed(pool, field, term)
            if pool.exists():
                return pool, False
        return queryset.none(), False


def _narrowed(events: QuerySet[AuditEvent], field: str, term: str) -> QuerySet[AuditEvent]:
    """With the leading column of the index that serves the field."""
    if field == "target_id":
        return events.filter(
            target_kind__in=["key", "client", "schema", "operator", "enrolment_token", "webhook"],
            target_id=term,
        )
    if field == "actor_id":
        return events.filter(actor_kind__in=AuditEvent.ActorKind.values, actor_id=term)
    return events.filter(**{field: term})


def _newest_ids() -> QuerySet[AuditEvent, Any]:
    return AuditEvent.objects.order_by("-id").values("pk")[:5000]


def target_link(event: AuditEvent) -> str:
    """The admin page of what the event was done to, or ""."""
    if event.target_kind == "client":
        return reverse("admin:accounts_client_changelist") + f"?q={event.target_id}"
    page = TARGET_PAGES.get(event.target_kind)
    return reverse(f"admin:{page}_change", args=[event.target_id]) if page and event.target_id else ""
