"""Keys: looked at here, decided on the confirmation pages, changed by nothing else."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from import_export.resources import ModelResource
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.decorators import display

from accounts.admin.clients import week_chart
from accounts.models import AuditEvent
from keys.admin.decide import MOST_AT_ONCE, decision_view
from keys.admin.evidence import evidence_of
from keys.admin.queue import queue_view
from keys.admin.wording import WORDS
from keys.decisions import RULES, Verb, allowed_verbs, load
from keys.impact import suspects_of, usage_by_day
from keys.models import Key, KeyStatus
from project.admin_base import ReadOnlyAdmin, described
from project.export import ExportableAdmin
from project.search import keys_named

RECENT_EVENTS = 8
STATUS_LABELS = {
    KeyStatus.PENDING.label: "warning",
    KeyStatus.ACTIVE.label: "success",
    KeyStatus.SUSPENDED.label: "danger",
    KeyStatus.RETIRING.label: "info",
    KeyStatus.REVOKED.label: "danger",
}


class KeyResource(ModelResource):  # type: ignore[misc]
    class Meta:
        model = Key
        fields = (
            "id",
            "client__client_id",
            "name",
            "algorithm",
            "fingerprint",
            "thumbprint",
            "status",
            "proven",
            "not_before",
            "expires_at",
            "retire_at",
            "rotate_by",
            "metadata",
            "registered_at",
            "registered_from",
            "decided_by__username",
            "decided_at",
            "decision_reason",
            "revocation_reason",
            "compromised_since",
            "last_used_at",
            "usage_count",
        )


class AlgorithmFilter(admin.SimpleListFilter):
    title = "algorithm"
    parameter_name = "algorithm"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        names = ["ed25519", "ecdsa-p256-sha256", "ecdsa-p384-sha384", "rsa-pss-sha512", "rsa-v1_5-sha256"]
        return [(name, name) for name in names]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Key]) -> QuerySet[Key]:
        return queryset.filter(algorithm=self.value()) if self.value() else queryset


@admin.register(Key)
class KeyAdmin(ExportableAdmin, ReadOnlyAdmin):
    resource_classes = [KeyResource]
    audit_kind = "key"
    list_display = [
        "show_key",
        "show_status",
        "name",
        "algorithm",
        "proven",
        "show_registered",
        "show_expires",
        "show_last_used",
    ]
    list_filter = ["status", AlgorithmFilter, "proven", ("expires_at", RangeDateTimeFilter)]
    list_select_related = ["client"]
    search_fields = ["thumbprint"]
    search_help_text = "Registration id, fingerprint, beginning of a thumbprint, client_id or client's name."
    sortable_by = ["show_registered", "show_expires"]
    actions = [f"bulk_{verb.value}" for verb in Verb]
    change_form_outer_before_template = "keys/key_top.html"
    change_form_outer_after_template = "keys/key_panels.html"

    def get_fieldsets(self, request: HttpRequest, obj: Key | None = None) -> list[Any]:
        """None: keys/key_top.html shows the facts."""
        return []

    @display(description="key")
    def show_key(self, key: Key) -> str:
        return str(key)

    @display(description="status", label=STATUS_LABELS)
    def show_status(self, key: Key) -> str:
        return key.get_status_display()

    @display(description="registered", ordering="registered_at")
    def show_registered(self, key: Key) -> str:
        return f"{key.registered_at:%Y-%m-%d}"

    @display(description="expires", ordering="expires_at")
    def show_expires(self, key: Key) -> str:
        return f"{key.expires_at:%Y-%m-%d}" if key.expires_at else "-"

    @display(description="last used")
    def show_last_used(self, key: Key) -> str:
        return f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Key], search_term: str
    ) -> tuple[QuerySet[Key], bool]:
        term = search_term.strip()
        return (keys_named(term, queryset), False) if term else (queryset, False)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("queue/", wrap(lambda request: queue_view(self, request)), name="keys_key_queue"),
            path(
                "decide/<str:verb>/",
                wrap(lambda request, verb: decision_view(self, request, verb)),
                name="keys_key_decide",
            ),
            *super().get_urls(),
        ]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """One for each decision that the operator may take; it leads to the confirmation page."""
        return {
            f"bulk_{verb.value}": (_to_confirmation(verb), f"bulk_{verb.value}", f"{WORDS[verb].title}…")
            for verb, rule in RULES.items()
            if request.user.has_perm(rule.permission)
        }

    def panels(self, request: HttpRequest, obj: Key) -> dict[str, Any]:
        return key_panels(request, load([obj.pk])[0])


def _to_confirmation(verb: Verb) -> Any:
    def action(model_admin: Any, request: HttpRequest, queryset: QuerySet[Key]) -> HttpResponse | None:
        ids = list(queryset.values_list("pk", flat=True)[: MOST_AT_ONCE + 1])
        if len(ids) > MOST_AT_ONCE:
            messages.error(request, f"Select at most {MOST_AT_ONCE} keys: each is shown before you decide.")
            return None
        return redirect(decision_link(verb, ids))

    return action


def decision_link(verb: Verb, ids: list[uuid.UUID]) -> str:
    return (
        reverse("admin:keys_key_decide", args=[verb.value])
        + "?"
        + urlencode([("key", str(pk)) for pk in ids])
    )


def key_panels(request: HttpRequest, key: Key) -> dict[str, Any]:
    """What the key's page shows around its facts."""
    now = timezone.now()
    may = request.user.has_perm
    return {
        "key": key,
        "now": now,
        "verbs": [
            (WORDS[verb], decision_link(verb, [key.pk]))
            for verb in sorted(allowed_verbs(key, may), key=lambda verb: WORDS[verb].danger)
        ],
        "evidence": evidence_of([key])[0],
        "usage_chart": week_chart(usage_by_day([key.pk], days=7, now=now)),
        "suspects": suspects_of(key, since=key.compromised_since) if key.compromised_since else None,
        "may_see_audit": may("accounts.view_auditevent"),
        "events": (
            described(
                list(AuditEvent.objects.filter(target_kind="key", target_id=str(key.pk))[:RECENT_EVENTS])
            )
            if may("accounts.view_auditevent")
            else None
        ),
    }
