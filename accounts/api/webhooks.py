"""A client's calls about its webhooks. Operators have theirs in the admin."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.base import judged, model_errors
from accounts.audit import Actor
from accounts.models import Client, DeliveryStatus, Webhook, WebhookAttempt, WebhookDelivery
from accounts.webhooks import subscriptions
from accounts.webhooks.errors import WebhookNotFound
from keys.api.serializers import PlainCharField, StrictSerializer
from keys.authentication import signed_client
from project.api.envelope import ApiResponse
from project.api.openapi import PAGE, enveloped
from project.api.pagination import EnvelopeCursorPagination

TAGS: Final = ["webhooks"]
SCOPE: Final = "webhooks:manage"
SIGNED_ERRORS = ["SIGNATURE_MISSING", "SIGNATURE_VERIFICATION_FAILED", "SCOPE_MISSING"]
ONE_ERRORS = [*SIGNED_ERRORS, "NOT_FOUND"]
EVENTS_HELP = "Types of event, families such as key.*, or *; see docs/webhooks.md."


class WebhookSerializer(serializers.ModelSerializer[Webhook]):
    events = serializers.ListField(child=serializers.CharField(), help_text=EVENTS_HELP)
    status = serializers.CharField(help_text="active, paused, or disabled after long failure.")
    waiting = serializers.SerializerMethodField()

    class Meta:
        model = Webhook
        fields = [
            "id",
            "url",
            "events",
            "description",
            "status",
            "status_reason",
            "waiting",
            "failing_since",
            "last_success_at",
            "created_at",
            "updated_at",
        ]

    def get_waiting(self, webhook: Webhook) -> int:
        """Deliveries that wait; counted to 1000."""
        return webhook.deliveries.filter(status=DeliveryStatus.PENDING)[:1000].count()


class CreateWebhookSerializer(StrictSerializer):
    url = PlainCharField(max_length=2000, help_text="Absolute; https, but in development.")
    events = serializers.ListField(child=PlainCharField(max_length=64), max_length=50, help_text=EVENTS_HELP)
    description = PlainCharField(required=False, allow_blank=True, max_length=200)


class ChangeWebhookSerializer(StrictSerializer):
    url = PlainCharField(required=False, max_length=2000)
    events = serializers.ListField(
        required=False, child=PlainCharField(max_length=64), max_length=50, help_text=EVENTS_HELP
    )
    description = PlainCharField(required=False, allow_blank=True, max_length=200)
    active = serializers.BooleanField(required=False, help_text="false pauses; true resumes.")


class AttemptSerializer(serializers.Serializer[WebhookAttempt]):
    number = serializers.IntegerField()
    started_at = serializers.DateTimeField()
    duration_ms = serializers.IntegerField(allow_null=True, help_text="null while it runs.")
    request = serializers.SerializerMethodField()
    response = serializers.SerializerMethodField()
    error_code = serializers.CharField(help_text="Empty: the receiver took the event.")
    error = serializers.CharField()

    def get_request(self, attempt: WebhookAttempt) -> dict[str, Any]:
        """What was sent; the signature itself is left out."""
        return subscriptions.attempt_request(attempt)

    def get_response(self, attempt: WebhookAttempt) -> dict[str, Any] | None:
        """What was answered: the body to 2 KiB, without what looks like a secret; null for no answer."""
        if attempt.status_code is None:
            return None
        return {
            "status": attempt.status_code,
            "headers": attempt.response_fields,
            "body": attempt.response_body,
            "truncated": attempt.response_truncated,
        }


class DeliverySerializer(serializers.Serializer[WebhookDelivery]):
    id = serializers.UUIDField(source="delivery_id")
    event_id = serializers.UUIDField(help_text="The same in every delivery of the event.")
    event_type = serializers.CharField()
    status = serializers.CharField(source="shown_status.value", help_text="pending, delivered, or failed.")
    attempts_made = serializers.IntegerField()
    next_attempt_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class DeliveryDetailSerializer(DeliverySerializer):
    attempts = serializers.SerializerMethodField()

    def get_attempts(self, delivery: WebhookDelivery) -> list[dict[str, Any]]:
        """The last 20, newest first."""
        rows = delivery.attempts.select_related("delivery").order_by("-id")[:20]
        return [AttemptSerializer(row).data for row in rows]


class DeliveryFilter(StrictSerializer):
    status = PlainCharField(required=False, help_text="pending, delivered or failed.")

    def validate_status(self, status: str) -> str:
        if status not in DeliveryStatus.values:
            raise serializers.ValidationError(f"Choose of {', '.join(DeliveryStatus.values)}.")
        return status


class WebhookCall(APIView):
    """Base of the calls: one scope for all of them, and each client sees its own only."""

    scopes = dict.fromkeys(("GET", "HEAD", "POST", "PATCH", "DELETE"), SCOPE)

    def caller(self) -> tuple[Client, Actor]:
        """The client that signed. Raises `WebhookNotFound` where authentication is switched off."""
        client = signed_client(self.request)
        if client is None:
            raise WebhookNotFound("Authentication is switched off, so no webhook is anybody's own.")
        return Client.objects.get(pk=client.record.pk), Actor.client(client.client_id, client.key.thumbprint)

    def webhook(self, webhook_id: UUID) -> Webhook:
        client, _ = self.caller()
        found = Webhook.objects.select_related("client").filter(pk=webhook_id, client=client).first()
        if found is None:
            raise WebhookNotFound("You have no such webhook.")
        return found

    def delivery(self, webhook_id: UUID, delivery_id: UUID) -> WebhookDelivery:
        rows = WebhookDelivery.objects.select_related("webhook__client")
        found = rows.filter(webhook=self.webhook(webhook_id), delivery_id=delivery_id).first()
        if found is None:
            raise WebhookNotFound("This webhook has no such delivery; they are kept for a while only.")
        return found


class WebhooksView(WebhookCall):
    @extend_schema(
        operation_id="webhooks_list",
        tags=TAGS,
        summary="List your webhooks",
        responses=enveloped(WebhookSerializer, many=True, errors=SIGNED_ERRORS),
    )
    def get(self, request: Request) -> ApiResponse:
        client, _ = self.caller()
        rows = list(Webhook.objects.filter(client=client))
        return ApiResponse(WebhookSerializer(rows, many=True).data, meta={"count": len(rows)})

    @extend_schema(
        tags=TAGS,
        summary="Subscribe to events about you and your schemas",
        description="Each event is POSTed to the URL, signed by this server's key (RFC 9421).",
        request=CreateWebhookSerializer,
        responses=enveloped(
            WebhookSerializer,
            status=201,
            errors=[*SIGNED_ERRORS, "VALIDATION_FAILED", "WEBHOOK_URL_REFUSED", "WEBHOOK_LIMIT_REACHED"],
        ),
    )
    def post(self, request: Request) -> ApiResponse:
        client, actor = self.caller()
        wish = judged(CreateWebhookSerializer, request.data)
        with model_errors():
            webhook = subscriptions.create_webhook(actor=actor, client=client, **wish)
        return answer(webhook, "webhook_created", status=201, created_by=client.client_id)


class WebhookView(WebhookCall):
    @extend_schema(
        tags=TAGS, summary="One webhook", responses=enveloped(WebhookSerializer, errors=ONE_ERRORS)
    )
    def get(self, request: Request, webhook_id: UUID) -> ApiResponse:
        return ApiResponse(WebhookSerializer(self.webhook(webhook_id)).data)

    @extend_schema(
        tags=TAGS,
        summary="Change, pause or resume a webhook",
        description="A webhook that is not active collects nothing; what waited before goes out when it is resumed.",
        request=ChangeWebhookSerializer,
        responses=enveloped(
            WebhookSerializer, errors=[*ONE_ERRORS, "VALIDATION_FAILED", "WEBHOOK_URL_REFUSED"]
        ),
    )
    def patch(self, request: Request, webhook_id: UUID) -> ApiResponse:
        client, actor = self.caller()
        webhook, wish = self.webhook(webhook_id), judged(ChangeWebhookSerializer, request.data)
        active = wish.pop("active", None)
        with model_errors():
            webhook = subscriptions.change_webhook(webhook, actor=actor, changes=wish)
        if active is not None:
            switch = subscriptions.resume_webhook if active else subscriptions.pause_webhook
            webhook = switch(webhook, actor=actor)
        return answer(webhook, "webhook_changed", updated_by=client.client_id)

    @extend_schema(
        tags=TAGS,
        summary="End a webhook; its delivery log goes with it",
        responses=enveloped(WebhookSerializer, errors=ONE_ERRORS),
    )
    def delete(self, request: Request, webhook_id: UUID) -> ApiResponse:
        client, actor = self.caller()
        webhook = self.webhook(webhook_id)
        data = WebhookSerializer(webhook).data
        subscriptions.delete_webhook(webhook, actor=actor)
        return ApiResponse(data, meta={"action": "webhook_deleted", "deleted_by": client.client_id})


class WebhookTestView(WebhookCall):
    @extend_schema(
        tags=TAGS,
        summary="Send a test",
        description="At once and past the queue, whether the webhook is active or not. It does not count as failure. A "
        "worker sends it: while `status` is pending, ask for the delivery by its `id`; its attempt shows what was sent "
        "and answered. A server without workers answers when the test is over.",
        request=None,
        responses=enveloped(DeliveryDetailSerializer, status=202, errors=ONE_ERRORS),
    )
    def post(self, request: Request, webhook_id: UUID) -> ApiResponse:
        client, actor = self.caller()
        delivery = subscriptions.send_test(self.webhook(webhook_id), actor=actor)
        return ApiResponse(
            DeliveryDetailSerializer(delivery).data,
            meta={"action": "webhook_tested", "created_by": client.client_id},
            status=202,
        )


class DeliveriesView(WebhookCall):
    @extend_schema(
        operation_id="webhooks_deliveries_list",
        tags=TAGS,
        summary="The delivery log of a webhook, newest first",
        parameters=[*PAGE, DeliveryFilter],
        responses=enveloped(DeliverySerializer, many=True, errors=[*ONE_ERRORS, "VALIDATION_FAILED"]),
    )
    def get(self, request: Request, webhook_id: UUID) -> Response:
        rows = WebhookDelivery.objects.filter(webhook=self.webhook(webhook_id))
        query = {
            name: value
            for name, value in request.query_params.dict().items()
            if name not in ("limit", "cursor")
        }
        rows = rows.filter(**judged(DeliveryFilter, query))
        paginator = EnvelopeCursorPagination()
        page = paginator.paginate_queryset(rows, request, view=self)
        return paginator.get_paginated_response([DeliverySerializer(row).data for row in page or ()])


class DeliveryView(WebhookCall):
    @extend_schema(
        tags=TAGS,
        summary="One delivery with its attempts",
        responses=enveloped(DeliveryDetailSerializer, errors=ONE_ERRORS),
    )
    def get(self, request: Request, webhook_id: UUID, delivery_id: UUID) -> ApiResponse:
        return ApiResponse(DeliveryDetailSerializer(self.delivery(webhook_id, delivery_id)).data)


class RedeliverView(WebhookCall):
    @extend_schema(
        tags=TAGS,
        summary="Queue an event once more",
        description="It waits behind what waits already. The event's id stays the same, the delivery's is new.",
        request=None,
        responses=enveloped(DeliverySerializer, status=202, errors=[*ONE_ERRORS, "WEBHOOK_STATE_CONFLICT"]),
    )
    def post(self, request: Request, webhook_id: UUID, delivery_id: UUID) -> ApiResponse:
        client, actor = self.caller()
        again = subscriptions.redeliver(self.delivery(webhook_id, delivery_id), actor=actor)
        return ApiResponse(
            DeliverySerializer(again).data,
            meta={"action": "webhook_redelivered", "created_by": client.client_id},
            status=202,
        )


def answer(webhook: Webhook, action: str, *, status: int = 200, **meta: Any) -> ApiResponse:
    webhook.refresh_from_db()
    return ApiResponse(WebhookSerializer(webhook).data, meta={"action": action, **meta}, status=status)
