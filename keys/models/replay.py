"""What the database remembers of spent nonces and rates where there is no Redis."""

from __future__ import annotations

from django.db import models


class SpentNonce(models.Model):
    """(client, nonce) that may not be used again before `expires_at`."""

    client_id = models.CharField(max_length=64)
    nonce = models.CharField(max_length=128)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["client_id", "nonce"], name="nonce_spent_once")]

    def __str__(self) -> str:
        return self.client_id


class RateCounter(models.Model):
    """Requests of one subject in one fixed window."""

    subject = models.CharField(max_length=100)
    window = models.BigIntegerField(help_text="Start of the window, Unix seconds.")
    count = models.PositiveIntegerField(default=0)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["subject", "window"], name="rate_subject_window")]
        indexes = [models.Index(fields=["window"], name="rate_window")]

    def __str__(self) -> str:
        return self.subject
