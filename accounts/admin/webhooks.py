"""Webhooks in the admin: the operators' own, and a look at the clients'."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from accounts.admin.forms import LinesField
from accounts.models import DeliveryStatus, Webhook, WebhookAttempt, WebhookDelivery, WebhookStatus
from accounts.webhooks import events, subscriptions
from accounts.webhooks.policy import current_policy
from project.admin_base import ConsoleAdmin, ReadOnlyAdmin, operator
from project.errors import DomainError

LISTED = 20
STATUS_LABELS = {
    WebhookStatus.ACTIVE.label: "success",
    WebhookStatus.PAUSED.label: "warning",
    WebhookStatus.DISABLED.label: "danger",
}
DELIVERY_LABELS = {
    DeliveryStatus.PENDING.label: "info",
    DeliveryStatus.DELIVERED.label: "success",
    DeliveryStatus.FAILED.label: "danger",
}


class WebhookForm(forms.ModelForm):  # type: ignore[type-arg]
    """What an operator says about a webhook of the operators."""

    url = forms.CharField(max_length=2000, label="URL", widget=UnfoldAdminTextInputWidget())
    events = LinesField(
        widget=UnfoldAdminTextareaWidget({"rows": 4}),
        help_text=f"One on each line: * for all, a family such as key.*, or of: {', '.join(events.TYPES)}.",
    )

    class Meta:
        model = Webhook
        fields = ["url", "events", "description"]

    def clean_url(self) -> str:
        try:
            return current_policy().target(self.cleaned_data["url"]).url
        except DomainError as error:
            raise ValidationError(error.message) from error

    def clean_events(self) -> list[str]:
        wanted: list[str] = self.cleaned_data["events"]
        problems = [problem for each in wanted if (problem := events.pattern_problem(each, for_client=False))]
        if problems:
            raise ValidationError(problems)
        return wanted


class ReasonForm(forms.Form):
    reason = forms.CharField(
        max_length=500,
        required=False,
        widget=UnfoldAdminTextInputWidget(),
        help_text="Kept in the audit log, and shown to whoever owns the webhook.",
    )


@admin.register(Webhook)
class WebhookAdmin(ConsoleAdmin):
    form = WebhookForm
    audit_kind = "webhook"
    list_display = ["show_url", "show_owner", "show_status", "failing_since", "last_success_at", "created_at"]
    list_display_links = ["show_url"]
    list_filter = ["status", ("client", admin.EmptyFieldListFilter)]
    list_select_related = ["client"]
    search_fields = ["client__client_id"]
    search_help_text = "The beginning of a client_id."
    sortable_by = ["created_at"]
    change_form_outer_before_template = "webhooks/webhook_top.html"
    change_form_outer_after_template = "webhooks/webhook_panels.html"

    @display(description="URL")
    def show_url(self, webhook: Webhook) -> str:
        return webhook.shown_url

    @display(description="events")
    def show_events(self, webhook: Webhook) -> str:
        return "everything" if "*" in webhook.events else ", ".join(webhook.events)

    @display(description="owner")
    def show_owner(self, webhook: Webhook) -> str:
        return webhook.client.client_id if webhook.client else "operators"

    @display(description="status", label=STATUS_LABELS)
    def show_status(self, webhook: Webhook) -> str:
        return webhook.get_status_display()

    def get_fields(self, request: HttpRequest, obj: Webhook | None = None) -> list[str]:
        if obj is not None and not self.has_change_permission(request, obj):
            return ["show_url", "show_events", "description"]
        return ["url", "events", "description"]

    def get_readonly_fields(self, request: HttpRequest, obj: Webhook | None = None) -> list[str]:
        return ["show_url", "show_events"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Webhook], search_term: str
    ) -> tuple[QuerySet[Webhook], bool]:
        term = search_term.strip()
        return (queryset.filter(client__client_id__startswith=term) if term else queryset), False

    def has_change_permission(self, request: HttpRequest, obj: Webhook | None = None) -> bool:
        """What a client subscribed to is the client's; operators pause and resume it."""
        return super().has_change_permission(request, obj) and (obj is None or obj.client_id is None)

    def has_delete_permission(self, request: HttpRequest, obj: Webhook | None = None) -> bool:
        """On a page of its own (`delete_one`), through the service."""
        return False

    def save_model(self, request: HttpRequest, obj: Webhook, form: WebhookForm, change: bool) -> None:
        """Through the service, so that the change is audited and the queue hears of it."""
        values = {name: form.cleaned_data[name] for name in ("url", "events", "description")}
        if change:
            subscriptions.change_webhook(
                Webhook.objects.get(pk=obj.pk), actor=operator(request), changes=values
            )
        else:
            obj.pk = subscriptions.create_webhook(actor=operator(request), client=None, **values).pk
        obj.refresh_from_db()

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<uuid:webhook_pk>/test/", wrap(self.test_view), name="accounts_webhook_test"),
            path(
                "<uuid:webhook_pk>/test/<uuid:delivery_id>/",
                wrap(self.test_view),
                name="accounts_webhook_tested",
            ),
            path(
                "<uuid:webhook_pk>/<str:verb>/confirm/",
                wrap(self.confirm_view),
                name="accounts_webhook_confirm",
            ),
            *super().get_urls(),
        ]

    def test_view(self, request: HttpRequest, webhook_pk: Any, delivery_id: Any = None) -> HttpResponse:
        """POST sends a test; the page shows what was sent and answered, once it is there."""
        webhook = _webhook(request, webhook_pk, "accounts.change_webhook")
        delivery, refusal, status = _test(webhook, delivery_id), "", 200
        if request.method == "POST":
            try:
                delivery = subscriptions.send_test(webhook, actor=operator(request))
            except DomainError as error:
                delivery, refusal, status = None, error.message, 409
        waits = delivery is not None and delivery.shown_status == DeliveryStatus.PENDING
        attempt = delivery.attempts.select_related("delivery").last() if delivery and not waits else None
        context = {
            **self.admin_site.each_context(request),
            "title": f"Test {webhook.shown_url}",
            "webhook": webhook,
            "delivery": delivery,
            "waits": waits,
            "attempt": shown_attempt(attempt) if attempt else None,
            "refusal": refusal,
        }
        response = TemplateResponse(request, "webhooks/test.html", context, status=status)
        if delivery and waits:
            here = reverse("admin:accounts_webhook_tested", args=[webhook.pk, delivery.delivery_id])
            response["Refresh"] = f"2; url={here}"
        return response

    def confirm_view(self, request: HttpRequest, webhook_pk: Any, verb: str) -> HttpResponse:
        """Pause, resume or delete: a page that states the consequence, then a POST."""
        if verb not in VERBS:
            raise Http404
        permission, consequence = VERBS[verb]
        webhook = _webhook(request, webhook_pk, permission)
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            _carry_out(verb, webhook, request, form.cleaned_data["reason"])
            if verb == "delete":
                messages.success(request, "The webhook is gone.")
                return redirect("admin:accounts_webhook_changelist")
            messages.success(request, f"The webhook is {'active' if verb == 'resume' else 'paused'} now.")
            return redirect("admin:accounts_webhook_change", webhook.pk)
        context = {
            **self.admin_site.each_context(request),
            "title": f"{verb.capitalize()} the webhook to {webhook.shown_url}",
            "webhook": webhook,
            "verb": verb,
            "consequence": consequence,
            "form": form if verb != "delete" else None,
        }
        return TemplateResponse(request, "webhooks/confirm.html", context)

    def panels(self, request: HttpRequest, obj: Webhook) -> dict[str, Any]:
        may = request.user.has_perm
        deliveries = obj.deliveries.order_by("-id")
        waiting = deliveries.filter(status=DeliveryStatus.PENDING)
        return {
            "webhook": obj,
            "deliveries": list(deliveries[:LISTED]) if may("accounts.view_webhookdelivery") else None,
            "waiting": waiting[:1000].count(),
            "may_change": may("accounts.change_webhook"),
            "may_delete": may("accounts.delete_webhook") and obj.client_id is None,
        }


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    list_display = [
        "created_at",
        "show_type",
        "show_webhook",
        "show_status",
        "attempts_made",
        "next_attempt_at",
    ]
    list_display_links = ["created_at"]
    list_filter = ["status"]
    list_select_related = ["webhook__client"]
    sortable_by: list[str] = []
    search_fields = ["delivery_id"]
    search_help_text = "The id of a delivery, an event or a webhook, exactly."
    fields = [
        "show_webhook",
        "show_type",
        "show_status",
        "delivery_id",
        "event_id",
        "created_at",
        "attempts_made",
    ]
    fields += ["next_attempt_at", "finished_at", "show_body"]
    readonly_fields = ["show_webhook", "show_type", "show_status", "show_body"]
    change_form_outer_before_template = "webhooks/delivery_top.html"
    change_form_outer_after_template = "webhooks/delivery_panels.html"

    @display(description="event")
    def show_type(self, delivery: WebhookDelivery) -> str:
        return delivery.event_type

    @display(description="status", label=DELIVERY_LABELS)
    def show_status(self, delivery: WebhookDelivery) -> str:
        return delivery.shown_status.label

    @display(description="webhook")
    def show_webhook(self, delivery: WebhookDelivery) -> str:
        link = reverse("admin:accounts_webhook_change", args=[delivery.webhook_id])
        return format_html('<a class="df-link" href="{}">{}</a>', link, delivery.webhook)

    @display(description="body")
    def show_body(self, delivery: WebhookDelivery) -> str:
        return format_html('<pre class="df-pre">{}</pre>', _indented(delivery.body))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[WebhookDelivery], search_term: str
    ) -> tuple[QuerySet[WebhookDelivery], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            found = forms.UUIDField().clean(term)
        except ValidationError:
            return queryset.none(), False
        by_delivery = queryset.filter(delivery_id=found)
        return (by_delivery if by_delivery.exists() else queryset.filter(webhook=found)), False

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path(
                "<int:delivery_pk>/redeliver/",
                wrap(self.redeliver_view),
                name="accounts_webhookdelivery_redeliver",
            ),
            *super().get_urls(),
        ]

    def panels(self, request: HttpRequest, obj: WebhookDelivery) -> dict[str, Any]:
        attempts = obj.attempts.select_related("delivery").order_by("-id")[:LISTED]
        return {
            "delivery": obj,
            "attempts": [shown_attempt(attempt) for attempt in attempts],
            "may_redeliver": request.user.has_perm("accounts.change_webhook")
            and obj.event_type != events.TEST
            and subscriptions.delivery_finished(obj),
        }

    def redeliver_view(self, request: HttpRequest, delivery_pk: int) -> HttpResponse:
        """A page that says what it does, then a POST that queues the event once more."""
        if not request.user.has_perm("accounts.change_webhook"):
            raise PermissionDenied
        delivery = WebhookDelivery.objects.select_related("webhook__client").filter(pk=delivery_pk).first()
        if delivery is None:
            raise Http404
        if request.method == "POST":
            try:
                again = subscriptions.redeliver(delivery, actor=operator(request))
            except DomainError as error:
                messages.error(request, error.message)
                return redirect("admin:accounts_webhookdelivery_change", delivery.pk)
            messages.success(
                request, "It waits for its turn, and goes out within seconds if nothing is before it."
            )
            return redirect("admin:accounts_webhookdelivery_change", again.pk)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Send {delivery.event_type} again",
            "delivery": delivery,
        }
        return TemplateResponse(request, "webhooks/redeliver.html", context)


VERBS = {
    "pause": (
        "accounts.change_webhook",
        "Nothing is sent, and nothing that happens is collected, until it is resumed. What waits stays.",
    ),
    "resume": (
        "accounts.change_webhook",
        "What waits goes out now, in order, and what happens from now on is collected again.",
    ),
    "delete": (
        "accounts.delete_webhook",
        "The subscription ends and its delivery log goes with it. The audit log keeps that it was there.",
    ),
}


def shown_attempt(attempt: WebhookAttempt) -> dict[str, Any]:
    """An attempt as the pages show it."""
    return {
        "attempt": attempt,
        "request_fields": attempt.request_fields.items(),
        "response_fields": attempt.response_fields.items(),
        "body": _indented(attempt.delivery.body),
    }


def _carry_out(verb: str, webhook: Webhook, request: HttpRequest, reason: str) -> None:
    with transaction.atomic():
        if verb == "delete":
            subscriptions.delete_webhook(webhook, actor=operator(request))
        elif verb == "pause":
            subscriptions.pause_webhook(webhook, actor=operator(request), reason=reason)
        else:
            subscriptions.resume_webhook(webhook, actor=operator(request), reason=reason)


def _webhook(request: HttpRequest, pk: Any, permission: str) -> Webhook:
    if not request.user.has_perm(permission):
        raise PermissionDenied
    webhook = Webhook.objects.select_related("client").filter(pk=pk).first()
    if webhook is None or (permission == "accounts.delete_webhook" and webhook.client_id is not None):
        raise Http404
    return webhook


def _test(webhook: Webhook, delivery_id: Any) -> WebhookDelivery | None:
    if delivery_id is None:
        return None
    found = webhook.deliveries.filter(event_type=events.TEST, delivery_id=delivery_id).first()
    if found is None:
        raise Http404
    return found


def _indented(body: str) -> str:
    return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
