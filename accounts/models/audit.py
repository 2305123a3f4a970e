"""The append-only record of who did what."""

from __future__ import annotations

from typing import Any, NoReturn

from django.db import models


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    """Reads and appends. The database's triggers refuse the rest; this refuses it earlier."""

    def update(self, **kwargs: Any) -> NoReturn:
        raise TypeError("The audit log is append-only: an event is never changed.")

    def delete(self) -> NoReturn:
        raise TypeError("The audit log is append-only: an event is never deleted.")


class AuditEvent(models.Model):
    """One thing that happened. Written by `accounts.audit.record_event` and by nothing else.

    Actor and target are kept as text, not as foreign keys: the record must outlive them.
    """

    class ActorKind(models.TextChoices):
        OPERATOR = "operator"
        CLIENT = "client"
        SYSTEM = "system"
        ANONYMOUS = "anonymous"

    id = models.BigAutoField(primary_key=True)
    created_at = models.DateTimeField()
    actor_kind = models.CharField(max_length=16, choices=ActorKind)
    actor_id = models.CharField(max_length=64, blank=True, help_text="Operator's id, or client_id.")
    actor_label = models.CharField(max_length=150, blank=True)
    actor_key = models.CharField(max_length=43, blank=True, help_text="Thumbprint of the key that signed.")
    action = models.CharField(max_length=64)
    target_kind = models.CharField(max_length=32, blank=True)
    target_id = models.CharField(max_length=64, blank=True)
    target_label = models.CharField(max_length=200, blank=True)
    before = models.JSONField(null=True, blank=True)
    after = models.JSONField(null=True, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    address = models.CharField(max_length=45, blank=True)

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["target_kind", "target_id", "-id"], name="audit_target"),
            models.Index(fields=["actor_kind", "actor_id", "-id"], name="audit_actor"),
            models.Index(fields=["action", "-id"], name="audit_action"),
            models.Index(fields=["request_id"], name="audit_request"),
            models.Index(fields=["created_at"], name="audit_created"),
        ]

    def __str__(self) -> str:
        return f"{self.created_at:%Y-%m-%d %H:%M:%S} {self.actor_label} {self.action} {self.target_label}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("The audit log is append-only: an event is never changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("The audit log is append-only: an event is never deleted.")
