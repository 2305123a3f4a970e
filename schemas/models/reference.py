"""Which version refers to which other registered version."""

from __future__ import annotations

from django.db import models

from schemas.models.version import SchemaVersion


class SchemaReference(models.Model):
    """`source` has a `$ref` into `target`, written as `datafold:NAME/VERSION`.

    Bound when the source was registered, so that a reference never changes its meaning.
    """

    source = models.ForeignKey(SchemaVersion, models.CASCADE, related_name="references")
    target = models.ForeignKey(SchemaVersion, models.PROTECT, related_name="referenced_by")
    name = models.CharField(max_length=100, help_text="NAME as it stands in the document.")
    version = models.CharField(max_length=64, help_text="VERSION as it stands in the document.")

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["source", "name", "version"], name="schema_reference_once")
        ]

    def __str__(self) -> str:
        return f"{self.source} -> {self.target}"
