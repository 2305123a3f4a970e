"""The server's own keys: what it signs responses, its key directory and audit checkpoints with."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class ServerKey(models.Model):
    """One key pair of the server. Made, rotated and forgotten by `keys.server_keys`.

    The row outlives the private half: `secret` goes on vouching for the thumbprint, so that nobody
    who can only write the database can pass off another key as one of this server's.
    """

    thumbprint = models.CharField(max_length=43, unique=True, help_text="RFC 7638, base64url.")
    algorithm = models.CharField(max_length=32)
    jwk = models.JSONField(help_text="The public half.")
    secret = models.TextField(editable=False, help_text="Thumbprint and private half, encrypted (Fernet).")
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True, blank=True)
    published_until = models.DateTimeField(
        null=True, blank=True, help_text="When nothing that it signed is fresh any more."
    )
    forgotten_at = models.DateTimeField(
        null=True, blank=True, help_text="When the private half was destroyed."
    )

    class Meta:
        ordering = ["-created_at"]
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["active"], condition=Q(active=True), name="server_key_one_active"
            ),
            models.CheckConstraint(
                condition=Q(active=True, retired_at__isnull=True)
                | Q(active=False, retired_at__isnull=False, published_until__isnull=False),
                name="server_key_retired_with_dates",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.algorithm} {self.thumbprint[:8]}"
