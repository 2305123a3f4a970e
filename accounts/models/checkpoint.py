"""The seals of the audit log: which event is which leaf of which signed checkpoint."""

from __future__ import annotations

from typing import Any, NoReturn

from django.db import models

from accounts.models.audit import AuditEvent


class SealQuerySet(models.QuerySet[Any]):
    def update(self, **kwargs: Any) -> NoReturn:
        raise TypeError("Seals of the audit log are never changed.")

    def delete(self) -> NoReturn:
        raise TypeError("Seals of the audit log are never deleted.")


class AuditCheckpoint(models.Model):
    """One sealed batch: the root of its Merkle tree (RFC 6962), chained to the checkpoint before and signed.

    What is signed is `accounts.sealing.checkpoint_body`, so every column here is part of it.
    """

    number = models.PositiveBigIntegerField(primary_key=True, help_text="1, 2, 3 …, without a gap.")
    batch_size = models.PositiveIntegerField()
    tree_size = models.PositiveBigIntegerField(help_text="Events sealed up to and with this checkpoint.")
    root = models.CharField(max_length=64, help_text="Root of the batch's Merkle tree, hexadecimal.")
    previous = models.CharField(
        max_length=64, help_text="Hash of the checkpoint before, hexadecimal; zeros for the first."
    )
    sealed_at = models.DateTimeField()
    complete_until = models.DateTimeField(
        null=True, help_text="Every event that was visible then is sealed with this checkpoint or before."
    )
    thumbprint = models.CharField(max_length=43, help_text="Of the server key that signed.")
    jwk = models.JSONField(help_text="Its public half, to verify without this server.")
    algorithm = models.CharField(max_length=32)
    signature = models.BinaryField()

    objects = SealQuerySet.as_manager()

    class Meta:
        ordering = ["-number"]
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(condition=models.Q(number__gte=1), name="checkpoint_number_from_one"),
            models.CheckConstraint(condition=models.Q(batch_size__gte=1), name="checkpoint_not_empty"),
        ]

    def __str__(self) -> str:
        return f"checkpoint {self.number}"


class AuditSeal(models.Model):
    """The place of one event in its batch. Kept apart, so that appending an event stays one insert."""

    # No foreign key in the database: a deleted event must leave its seal behind, which then names it.
    event = models.OneToOneField(
        AuditEvent, models.DO_NOTHING, primary_key=True, db_constraint=False, related_name="seal"
    )
    checkpoint = models.ForeignKey(AuditCheckpoint, models.DO_NOTHING, related_name="seals", db_index=False)
    index = models.PositiveIntegerField(help_text="Place in the batch, from 0.")
    leaf_hash = models.BinaryField(help_text="RFC 6962 §2.1, 32 bytes.")

    objects = SealQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["checkpoint", "index"], name="seal_place_once")]

    def __str__(self) -> str:
        return f"event {self.event_id}: checkpoint {self.checkpoint_id}, leaf {self.index}"
