"""API clients: the machines that sign."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models

from accounts.lookalikes import skeleton

CLIENT_ID_PATTERN = r"^[A-Za-z0-9._-]{1,64}$"
METADATA_MAX_KEYS = 10
METADATA_MAX_VALUE = 256


class ClientStatus(models.TextChoices):
    ACTIVE = "active"
    SUSPENDED = "suspended"


class Profile(models.TextChoices):
    """How strictly a client's signatures are judged; see `keys.httpsig.policy.PROFILES`."""

    STRICT = "strict"
    STANDARD = "standard"
    LENIENT = "lenient"


class Scope(models.TextChoices):
    SCHEMAS_READ = "schemas:read"
    SCHEMAS_WRITE = "schemas:write"
    KEYS_ROTATE = "keys:rotate"
    WEBHOOKS_MANAGE = "webhooks:manage"


def default_scopes() -> list[str]:
    return list(settings.DATAFOLD_DEFAULT_SCOPES)


def default_profile() -> str:
    return str(settings.DATAFOLD_DEFAULT_PROFILE)


def metadata_problems(metadata: Any) -> list[str]:
    """Every way in which free metadata is over its limits, as sentences; [] when it is fine."""
    if not isinstance(metadata, dict):
        return ["metadata must be a JSON object"]
    problems = []
    if len(metadata) > METADATA_MAX_KEYS:
        problems.append(f"metadata has {len(metadata)} keys; at most {METADATA_MAX_KEYS} are kept")
    for key, value in list(metadata.items())[:50]:
        if not key or len(key) >= METADATA_MAX_VALUE:
            problems.append(f"the key {key[:40]!r} must have 1 to {METADATA_MAX_VALUE - 1} characters")
        if isinstance(value, dict | list):
            problems.append(f"{key[:40]!r} must be a string, a number or a boolean")
        elif len(str(value)) >= METADATA_MAX_VALUE:
            problems.append(f"the value of {key[:40]!r} must be under {METADATA_MAX_VALUE} characters")
        if re.search(r"[\x00-\x1f\x7f]", key + (value if isinstance(value, str) else "")):
            problems.append(f"{key[:40]!r} has control characters")
    return problems


def validate_metadata(metadata: Any) -> None:
    if problems := metadata_problems(metadata):
        raise ValidationError(problems)


def validate_networks(networks: Any) -> None:
    if not isinstance(networks, list):
        raise ValidationError('Give a list of networks, such as ["10.0.0.0/8"].')
    for network in networks:
        try:
            ipaddress.ip_network(network)
        except (TypeError, ValueError) as error:
            raise ValidationError(f"{network!r} is not a network in CIDR notation.") from error


class Client(models.Model):
    """One machine identity. Its keys verify; its scopes, networks and profile say for what."""

    client_id = models.CharField(
        max_length=64,
        unique=True,
        validators=[RegexValidator(CLIENT_ID_PATTERN, "1 to 64 letters, digits, '.', '_' or '-'.")],
    )
    name = models.CharField(max_length=100, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="owned_clients"
    )
    owners_ever = models.ManyToManyField(
        settings.AUTH_USER_MODEL,
        blank=True,
        editable=False,
        related_name="+",
        help_text="Kept by the database (triggers): under four eyes none of them approves its keys.",
    )
    contact_email = models.EmailField(blank=True)
    status = models.CharField(max_length=16, choices=ClientStatus, default=ClientStatus.ACTIVE)
    status_reason = models.CharField(max_length=500, blank=True)
    scopes = models.JSONField(default=default_scopes, blank=True)
    profile = models.CharField(max_length=16, choices=Profile, default=default_profile)
    allowed_networks = models.JSONField(
        default=list, blank=True, validators=[validate_networks], help_text="CIDR list; empty means anywhere."
    )
    rate_limit = models.PositiveIntegerField(
        null=True, blank=True, help_text="Signed requests per minute; empty means the server's default."
    )
    metadata = models.JSONField(default=dict, blank=True, validators=[validate_metadata])
    skeleton = models.CharField(max_length=100, default="", blank=True, editable=False, db_index=True)
    name_skeleton = models.CharField(max_length=100, default="", blank=True, editable=False, db_index=True)
    registered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )
    epoch = models.PositiveBigIntegerField(
        default=1,
        editable=False,
        help_text="Counts every change that verification must know of; a cached key of another epoch is stale.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["client_id"]
        permissions = [("suspend_client", "Can suspend and reactivate a client")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=ClientStatus.values), name="client_status_known"
            ),
            models.CheckConstraint(
                condition=models.Q(profile__in=Profile.values), name="client_profile_known"
            ),
            models.CheckConstraint(
                condition=models.Q(client_id__regex=CLIENT_ID_PATTERN), name="client_id_well_formed"
            ),
        ]
        indexes = [models.Index(fields=["status"]), models.Index(fields=["-created_at"])]

    def __str__(self) -> str:
        return self.client_id

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Keeps the skeletons in step with the names they are derived from."""
        self.skeleton, self.name_skeleton = skeleton(self.client_id), skeleton(self.name)
        if (fields := kwargs.get("update_fields")) is not None:
            kwargs["update_fields"] = {*fields, "skeleton", "name_skeleton"}
        super().save(*args, **kwargs)

    def clean(self) -> None:
        unknown = [
            scope
            for scope in self.scopes
            if not isinstance(scope, str) or not re.match(r"^[a-z]+:[a-z]+$", scope)
        ]
        if unknown:
            raise ValidationError({"scopes": f"Not scopes: {unknown}. Write them like 'schemas:read'."})
