"""Who reads which version."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from accounts.models import Client
from schemas.models.version import SchemaVersion


class VersionRead(models.Model):
    """Reads of one version by one client on one day; no client where reading needs no signature."""

    version = models.ForeignKey(SchemaVersion, models.CASCADE, related_name="reads")
    client = models.ForeignKey(Client, models.CASCADE, null=True, related_name="+")
    day = models.DateField()
    count = models.PositiveBigIntegerField(default=0)

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["version", "client", "day"], name="version_read_day"),
            models.UniqueConstraint(
                fields=["version", "day"], condition=Q(client__isnull=True), name="version_read_day_unsigned"
            ),
        ]
        indexes = [models.Index(fields=["day"], name="version_read_by_day")]

    def __str__(self) -> str:
        return f"{self.version_id} by {self.client_id} on {self.day}: {self.count}"
