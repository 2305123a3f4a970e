"""What was said already, so that it is said once; and what was counted already."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from keys.models.key import Key


class Notice(models.Model):
    """A mail that is due. The row comes first; a worker claims it, sends, and marks it sent (`keys.jobs.outbox`)."""

    created_at = models.DateTimeField()
    claimed_at = models.DateTimeField(null=True, help_text="When a worker last took it to send it.")
    sent_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True


class ExpiryWarning(Notice):
    """The warning that a key ends within `days`."""

    class Audience(models.TextChoices):
        CONTACT = "contact"
        OPERATORS = "operators"

    key = models.ForeignKey(Key, models.CASCADE, related_name="expiry_warnings")
    days = models.PositiveSmallIntegerField()
    expires_at = models.DateTimeField(
        help_text="The end that is warned of: a prolonged key is warned of anew."
    )
    audience = models.CharField(max_length=16, choices=Audience)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["key", "days", "expires_at", "audience"], name="expiry_warning_once"
            )
        ]
        indexes = [
            models.Index(fields=["id"], condition=Q(sent_at__isnull=True), name="expiry_warning_unsent")
        ]

    def __str__(self) -> str:
        return f"{self.key_id}: {self.days} days"


class RotationNotice(Notice):
    """The request to a client's contact to rotate a key by a date."""

    key = models.ForeignKey(Key, models.CASCADE, related_name="rotation_notices")
    rotate_by = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["key", "rotate_by"], name="rotation_notice_once")]
        indexes = [
            models.Index(fields=["id"], condition=Q(sent_at__isnull=True), name="rotation_notice_unsent")
        ]

    def __str__(self) -> str:
        return f"{self.key_id}: by {self.rotate_by:%Y-%m-%d}"


class DailySummary(Notice):
    """The summary of what waits for the operators, one a day."""

    day = models.DateField(unique=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.day)


class UsageFlush(models.Model):
    """A hash of Redis' usage counters whose counts are in the database, by its unique name.

    Written in the transaction of the counts, so a hash that is met again was only not deleted yet.
    """

    name = models.CharField(max_length=200, unique=True)
    flushed_at = models.DateTimeField(db_index=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name
