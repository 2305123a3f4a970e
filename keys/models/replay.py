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


class ReplayStoreName(models.TextChoices):
    REDIS = "redis"
    DATABASE = "database"


class ReplayMode(models.Model):
    """Which store of nonces counts, for every worker, where DATAFOLD_REPLAY_FALLBACK allows a choice.

    One row. `since` is null from the moment of a switch until somebody has read that row: only then
    is it certain that the switch was committed, and that moment begins the new store's memory.
    """

    store = models.CharField(max_length=16, choices=ReplayStoreName, default=ReplayStoreName.REDIS)
    since = models.FloatField(null=True, default=0, help_text="Unix seconds.")
    generation = models.PositiveBigIntegerField(default=1)
    redis_missed_at = models.FloatField(
        default=0, help_text="When a worker last found Redis away while the database counts; Unix seconds."
    )

    class Meta:
        default_permissions = ()
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="replay_mode_one_row")]

    def __str__(self) -> str:
        return self.store
