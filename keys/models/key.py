"""A public key of a client, and the states it can be in."""

from __future__ import annotations

import contextlib
import uuid
from datetime import datetime
from functools import cached_property

from django.conf import settings
from django.db import models
from django.db.models import Q

from accounts.models import Client
from keys.httpsig import PublicKey


class KeyStatus(models.TextChoices):
    PENDING = "pending"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    RETIRING = "retiring"
    REJECTED = "rejected"
    RETIRED = "retired"
    EXPIRED = "expired"
    REVOKED = "revoked"


VERIFYING = frozenset({KeyStatus.ACTIVE, KeyStatus.RETIRING})
FINAL = frozenset({KeyStatus.REJECTED, KeyStatus.RETIRED, KeyStatus.EXPIRED, KeyStatus.REVOKED})
# Those that may have verified once.
USED_UP = FINAL - {KeyStatus.REJECTED}

# Every edge of the state machine; the database's trigger (migration 0002) refuses all others.
TRANSITIONS: dict[KeyStatus, frozenset[KeyStatus]] = {
    KeyStatus.PENDING: frozenset(
        {KeyStatus.ACTIVE, KeyStatus.REJECTED, KeyStatus.EXPIRED, KeyStatus.REVOKED}
    ),
    KeyStatus.ACTIVE: frozenset(
        {KeyStatus.SUSPENDED, KeyStatus.RETIRING, KeyStatus.EXPIRED, KeyStatus.REVOKED}
    ),
    KeyStatus.SUSPENDED: frozenset({KeyStatus.ACTIVE, KeyStatus.EXPIRED, KeyStatus.REVOKED}),
    KeyStatus.RETIRING: frozenset(
        {KeyStatus.ACTIVE, KeyStatus.RETIRED, KeyStatus.EXPIRED, KeyStatus.REVOKED}
    ),
}


class RevocationReason(models.TextChoices):
    """RFC 5280 §5.3.1, the reasons that make sense for a key that is not a certificate."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "keyCompromise"
    AFFILIATION_CHANGED = "affiliationChanged"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessationOfOperation"
    PRIVILEGE_WITHDRAWN = "privilegeWithdrawn"


class KeyQuerySet(models.QuerySet["Key"]):
    def awaiting_decision(self) -> KeyQuerySet:
        return self.filter(status=KeyStatus.PENDING)

    def overdue(self, now: datetime) -> KeyQuerySet:
        """Keys past `expires_at` that no job has expired yet."""
        return self.exclude(status__in=FINAL).filter(expires_at__lte=now)

    def named(self, name: str) -> KeyQuerySet:
        """Keys that a person means by `name`: client_id, registration_id or thumbprint prefix."""
        query = Q(client__client_id=name)
        with contextlib.suppress(ValueError):
            query |= Q(pk=uuid.UUID(name))
        if len(name) >= 4:
            query |= Q(thumbprint__startswith=name)
        return self.filter(query)


class Key(models.Model):
    """One public key. Its status changes through `keys.lifecycle` and nothing else."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client = models.ForeignKey(Client, models.PROTECT, related_name="keys")
    name = models.CharField(max_length=100, blank=True)
    algorithm = models.CharField(max_length=32)
    public_key = models.BinaryField(help_text="SubjectPublicKeyInfo, DER.")
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of the DER, hexadecimal.")
    thumbprint = models.CharField(max_length=43, unique=True, help_text="RFC 7638, base64url.")
    status = models.CharField(max_length=16, choices=KeyStatus, default=KeyStatus.PENDING)
    proven = models.BooleanField(
        default=False, help_text="The registering request was signed by this key (proof of possession)."
    )
    not_before = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    replaces = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="successors", db_index=False
    )
    retire_at = models.DateTimeField(null=True, blank=True, help_text="End of grace of a retiring key.")
    rotate_by = models.DateTimeField(
        null=True, blank=True, help_text="The operators asked the client to rotate by then."
    )
    metadata = models.JSONField(default=dict, blank=True)

    registered_at = models.DateTimeField()
    registered_from = models.CharField(max_length=45, blank=True)
    registered_user_id = models.CharField(max_length=100, blank=True)

    # Null is one. Nullable without a default, so that SQLite adds the column without rebuilding the
    # table: a rebuild would drop the table's triggers.
    approvals_needed = models.PositiveSmallIntegerField(null=True, blank=True, editable=False)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    decision_reason = models.CharField(max_length=500, blank=True)
    revocation_reason = models.CharField(max_length=32, choices=RevocationReason, blank=True)
    compromised_since = models.DateTimeField(null=True, blank=True)

    last_used_at = models.DateTimeField(null=True, blank=True)
    usage_count = models.PositiveBigIntegerField(default=0)

    objects = KeyQuerySet.as_manager()

    class Meta:
        ordering = ["-registered_at"]
        permissions = [
            ("approve_key", "Can approve a key"),
            ("reject_key", "Can reject a key"),
            ("suspend_key", "Can suspend a key"),
            ("reactivate_key", "Can reactivate a key"),
            ("revoke_key", "Can revoke a key"),
            ("request_rotation", "Can ask a client to rotate its key"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(status__in=KeyStatus.values), name="key_status_known"),
            models.CheckConstraint(
                condition=Q(status=KeyStatus.REVOKED, revocation_reason__in=RevocationReason.values)
                | (~Q(status=KeyStatus.REVOKED) & Q(revocation_reason="")),
                name="key_revoked_with_reason",
            ),
            models.CheckConstraint(
                condition=~Q(status=KeyStatus.RETIRING) | Q(retire_at__isnull=False),
                name="key_retiring_has_end",
            ),
            models.CheckConstraint(
                condition=Q(compromised_since__isnull=True)
                | Q(status__in=[status for status in KeyStatus if status in FINAL]),
                name="key_compromised_only_final",
            ),
            # Of two rotations at once the second fails; after a roll back the key may be rotated anew.
            models.UniqueConstraint(
                fields=["replaces"],
                condition=Q(status__in=[status for status in KeyStatus if status not in FINAL]),
                name="key_one_living_successor",
            ),
        ]
        indexes = [
            models.Index(fields=["client", "-registered_at"], name="key_by_client"),
            models.Index(fields=["status", "-registered_at"], name="key_by_status"),
            models.Index(fields=["expires_at"], name="key_by_expiry"),
            models.Index(fields=["status", "expires_at"], name="key_by_status_expiry"),
            models.Index(fields=["rotate_by"], condition=Q(rotate_by__isnull=False), name="key_by_rotate_by"),
            models.Index(
                fields=["retire_at"], condition=Q(status=KeyStatus.RETIRING), name="key_retiring_by_end"
            ),
            models.Index(fields=["-registered_at", "-id"], name="key_newest"),
            models.Index(fields=["fingerprint"], name="key_by_fingerprint"),
            models.Index(fields=["replaces"], name="key_by_predecessor"),
            models.Index(fields=["status", "last_used_at", "decided_at"], name="key_silent"),
        ]

    def __str__(self) -> str:
        return f"{self.client.client_id} {self.thumbprint[:8]}"

    @cached_property
    def verifier(self) -> PublicKey:
        """The key as the engine uses it."""
        return PublicKey.from_der(bytes(self.public_key), self.algorithm)

    @property
    def successor(self) -> Key | None:
        """The key that took over: the one that is not final, else the newest; None where nothing did."""
        return max(
            self.successors.all(), key=lambda key: (key.status not in FINAL, key.registered_at), default=None
        )

    @property
    def registration_id(self) -> str:
        return str(self.pk)
