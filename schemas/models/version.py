"""An immutable version of a schema, with the receipt of the request that wrote it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from accounts.models import Client
from keys.models import Key
from schemas.models.json import VerbatimJSONField
from schemas.models.schema import Schema


class Format(models.TextChoices):
    FIELDS = "fields"
    JSONSCHEMA = "jsonschema"
    AVRO = "avro"


class SchemaVersion(models.Model):
    """What was written, by whom, and the proof.

    All columns but those of approval are frozen by triggers. The receipt is null only where
    the server ran with authentication switched off (development).
    """

    schema = models.ForeignKey(Schema, models.PROTECT, related_name="versions")
    generation = models.PositiveIntegerField(default=1, help_text="The schema's when this was written.")
    number = models.PositiveIntegerField()
    version = models.CharField(max_length=64)
    format = models.CharField(max_length=16, choices=Format)
    content = VerbatimJSONField()
    canonical = models.BinaryField()
    fingerprint = models.CharField(max_length=64, db_index=True)
    digest = models.CharField(
        max_length=64, help_text="SHA-256 of the whole content; an Avro fingerprint leaves defaults out."
    )
    author = models.ForeignKey(Client, models.PROTECT, null=True, related_name="+")
    author_key = models.ForeignKey(Key, models.PROTECT, null=True, related_name="schema_versions")
    receipt = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField()

    approved_at = models.DateTimeField(null=True, blank=True)
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["schema", "number"], name="version_number_once"),
            models.UniqueConstraint(fields=["schema", "generation", "version"], name="version_string_once"),
            models.UniqueConstraint(
                fields=["schema", "generation", "format", "digest"], name="version_content_once"
            ),
            models.CheckConstraint(condition=Q(number__gte=1), name="version_number_from_one"),
            models.CheckConstraint(condition=Q(format__in=Format.values), name="version_format_known"),
            models.CheckConstraint(
                condition=Q(author__isnull=True, author_key__isnull=True, receipt__isnull=True)
                | Q(author__isnull=False, author_key__isnull=False, receipt__isnull=False),
                name="version_author_with_receipt",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.schema.name} v{self.number}"
