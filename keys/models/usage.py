"""What is counted and kept about verified and refused requests."""

from __future__ import annotations

from django.db import models

from keys.models.key import Key


class KeyUsage(models.Model):
    """Verified requests of one key in one hour."""

    key = models.ForeignKey(Key, models.CASCADE, related_name="usage")
    hour = models.DateTimeField()
    count = models.PositiveIntegerField(default=0)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["key", "hour"], name="key_usage_hour")]
        # With the count, so that an hour's sum and its busiest keys are read from the index alone.
        indexes = [models.Index(fields=["hour", "-count"], name="key_usage_busiest")]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}h: {self.count}"


class HourTotal(models.Model):
    """Verified requests of all keys in one hour, summed by a job (`keys.jobs.totals`)."""

    hour = models.DateTimeField(primary_key=True)
    verified = models.PositiveBigIntegerField()
    settled = models.BooleanField(help_text="The hour was over when it was summed, its last flush included.")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}h: {self.verified}"


class RefusalCount(models.Model):
    """Refused requests of one error code in one hour."""

    hour = models.DateTimeField()
    code = models.CharField(max_length=40)
    count = models.PositiveIntegerField(default=0)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["hour", "code"], name="refusal_hour_code")]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}h {self.code}: {self.count}"


class Refusal(models.Model):
    """One refused request with its explanation, kept some days and bounded per client."""

    created_at = models.DateTimeField(db_index=True)
    request_id = models.CharField(max_length=64, db_index=True)
    claimed_client_id = models.CharField(
        max_length=64, blank=True, help_text="As the request claimed; not verified."
    )
    code = models.CharField(max_length=40)
    message = models.CharField(max_length=500)
    details = models.JSONField(default=dict)
    method = models.CharField(max_length=16)
    path = models.CharField(max_length=500)
    address = models.CharField(max_length=45, blank=True)

    class Meta:
        verbose_name = "refused request"
        ordering = ["-id"]
        default_permissions = ("view",)
        indexes = [models.Index(fields=["claimed_client_id", "-id"], name="refusal_by_client")]

    def __str__(self) -> str:
        return f"{self.code} {self.request_id}"
