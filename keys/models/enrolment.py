"""Enrolment tokens: single-use invitations to register a key."""

from __future__ import annotations

import hashlib
import secrets

from django.conf import settings
from django.db import models

from accounts.models import Client


def hash_token(token: str) -> str:
    """SHA-256, hexadecimal. A token has 256 bits of entropy, so it needs no salt and no stretching."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_token() -> str:
    return "dfe_" + secrets.token_urlsafe(32)


class EnrolmentToken(models.Model):
    """An operator's invitation. The token itself is shown once and kept only as a hash."""

    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    client = models.ForeignKey(
        Client,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="enrolment_tokens",
        help_text="The client whose key may be registered; empty means a new client.",
    )
    note = models.CharField(max_length=200, blank=True)
    issued_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    used_for = models.OneToOneField(
        "keys.Key", models.SET_NULL, null=True, blank=True, related_name="enrolment_token"
    )

    class Meta:
        ordering = ["-issued_at"]

    def __str__(self) -> str:
        return f"enrolment token {self.pk}"
