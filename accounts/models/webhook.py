"""Webhooks: who wants to hear of what, what was due to them, and how each attempt went."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models.client import Client

# After this no worker sends a test any more.
TEST_LIFETIME = timedelta(minutes=1)


class WebhookStatus(models.TextChoices):
    ACTIVE = "active"
    PAUSED = "paused"
    DISABLED = "disabled"


class WebhookQuerySet(models.QuerySet["Webhook"]):
    def of(self, client_id: str) -> WebhookQuerySet:
        """Those of one client."""
        return self.filter(client__client_id=client_id)


class Webhook(models.Model):
    """A subscription. Changed by `accounts.webhooks.subscriptions`, sent to by `accounts.webhooks.delivery`.

    The lease is on the subscription and not on the delivery: what goes to one receiver goes in order.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client = models.ForeignKey(
        Client,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="webhooks",
        help_text="Hears of itself and its schemas; empty: the operators', which hears of everything.",
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )
    url = models.CharField(max_length=2000)
    events = models.JSONField(default=list)
    description = models.CharField(max_length=200, blank=True)
    status = models.CharField(max_length=16, choices=WebhookStatus, default=WebhookStatus.ACTIVE)
    status_reason = models.CharField(max_length=500, blank=True)
    failing_since = models.DateTimeField(null=True, blank=True, help_text="Since when no attempt succeeded.")
    last_success_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When the next attempt is due; empty: nothing waits."
    )
    lease_token = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    notice_due_at = models.DateTimeField(
        null=True,
        editable=False,
        help_text="When the mail that it was disabled is to be sent; empty: none is due.",
    )
    tested_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField(auto_now=True)

    objects = WebhookQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "id"]
        constraints = [
            models.CheckConstraint(condition=Q(status__in=WebhookStatus.values), name="webhook_status_known"),
        ]
        indexes = [
            models.Index(
                fields=["due_at"], condition=Q(status="active", due_at__isnull=False), name="webhook_due"
            ),
            models.Index(
                fields=["notice_due_at"], condition=Q(notice_due_at__isnull=False), name="webhook_notice"
            ),
            models.Index(fields=["-created_at", "id"], name="webhook_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.client or 'operators'}: {self.shown_url[:80]}"

    @property
    def shown_url(self) -> str:
        """The URL without its query: receivers keep secrets in it."""
        path, mark, _ = self.url.partition("?")
        return f"{path}{'?…' if mark else ''}"


class DeliveryStatus(models.TextChoices):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class WebhookDelivery(models.Model):
    """One event on its way to one receiver. The pending one with the lowest id goes first."""

    id = models.BigAutoField(primary_key=True)
    delivery_id = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    webhook = models.ForeignKey(Webhook, models.CASCADE, related_name="deliveries")
    event_id = models.UUIDField(
        help_text="The same in every delivery of the event: receivers act on it once."
    )
    event_type = models.CharField(max_length=64)
    body = models.TextField()
    source = models.CharField(
        max_length=40,
        blank=True,
        help_text="What it was made of; empty for tests and for what is sent again.",
    )
    replay_of = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="+")
    status = models.CharField(max_length=16, choices=DeliveryStatus, default=DeliveryStatus.PENDING)
    attempts_made = models.PositiveIntegerField(default=0)
    first_attempt_at = models.DateTimeField(null=True, blank=True)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        default_permissions = ("view",)
        verbose_name_plural = "webhook deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["webhook", "source"], condition=~Q(source=""), name="webhook_delivery_once"
            ),
            models.CheckConstraint(
                condition=Q(status__in=DeliveryStatus.values), name="webhook_delivery_status_known"
            ),
        ]
        indexes = [
            models.Index(fields=["webhook", "id"], condition=Q(status="pending"), name="webhook_queue"),
            models.Index(fields=["webhook", "-id"], name="webhook_deliveries"),
            models.Index(fields=["created_at"], name="webhook_delivery_age"),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} {str(self.delivery_id)[:8]}"

    @property
    def shown_status(self) -> DeliveryStatus:
        """A test, which is never in the queue, is pending until its attempt is over or no worker took it in time."""
        young = self.created_at > timezone.now() - TEST_LIFETIME
        if self.status == DeliveryStatus.FAILED and self.finished_at is None and young:
            return DeliveryStatus.PENDING
        return DeliveryStatus(self.status)


class WebhookAttempt(models.Model):
    """One request and what came back: bounded, and without secrets (`accounts.webhooks.redaction`)."""

    delivery = models.ForeignKey(WebhookDelivery, models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    duration_ms = models.PositiveIntegerField(null=True, help_text="Empty while it runs.")
    url = models.CharField(max_length=2000)
    request_fields = models.JSONField(default=dict)
    address = models.CharField(max_length=45, blank=True, help_text="Where the connection went.")
    status_code = models.PositiveSmallIntegerField(null=True)
    response_fields = models.JSONField(default=dict)
    response_body = models.TextField(blank=True, help_text="At most 2 KiB.")
    response_truncated = models.BooleanField(default=False)
    error_code = models.CharField(max_length=32, blank=True)
    error = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["id"]
        default_permissions = ()
        indexes = [models.Index(fields=["delivery", "number"], name="webhook_attempts")]

    def __str__(self) -> str:
        return f"attempt {self.number}"


class WebhookCursor(models.Model):
    """How far a table has been read for events (`accounts.webhooks.feed`)."""

    name = models.CharField(max_length=32, primary_key=True)
    position = models.BigIntegerField(default=0)
    gaps = models.JSONField(
        default=list, help_text="[first id, last id, until]: passed without seeing a row."
    )

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name
