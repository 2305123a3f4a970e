"""A named schema: who owns it, how it may evolve, whether it may be used."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import connections, models
from django.db.models import Q

from accounts.models import Client
from schemas.models.text_search import TRIGRAM

RARE = 1000
"""Schemas with a text up to which their keys are collected before they are filtered and ordered."""

SCHEMA_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


class SchemaState(models.TextChoices):
    AVAILABLE = "available"
    APPROVED = "approved"
    BLOCKED = "blocked"
    DEPRECATED = "deprecated"


class CompatibilityMode(models.TextChoices):
    NONE = "NONE"
    BACKWARD = "BACKWARD"
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    FORWARD = "FORWARD"
    FORWARD_TRANSITIVE = "FORWARD_TRANSITIVE"
    FULL = "FULL"
    FULL_TRANSITIVE = "FULL_TRANSITIVE"


class SchemaQuerySet(models.QuerySet["Schema"]):
    def alive(self) -> SchemaQuerySet:
        return self.filter(deleted_at__isnull=True)

    def holding(self, text: str) -> SchemaQuerySet:
        """Living schemas with `text`, in lower case, in their name, description or a field's name.

        What is rare is looked up by its trigrams; what is common is soon met in any order. PostgreSQL
        cannot tell which it is, since trigrams of one word come together, so it is found out.
        """
        if connections[self.db].vendor == "postgresql" and len(text) >= TRIGRAM:
            found = Schema.objects.using(self.db).alive().filter(search_text__holds=text)
            rare = list(found.order_by().values_list("pk", flat=True)[: RARE + 1])
            if len(rare) <= RARE:
                return self.filter(pk__in=rare)
        return self.alive().filter(search_text__contains=text)


class Schema(models.Model):
    """A deleted schema keeps its row: its name stays its owner's."""

    name = models.CharField(
        max_length=100,
        unique=True,
        validators=[
            RegexValidator(
                SCHEMA_NAME_PATTERN,
                "1 to 100 letters, digits, '.', '_' or '-', starting with a letter or digit.",
            )
        ],
    )
    description = models.TextField(blank=True, max_length=2000)
    owner = models.ForeignKey(Client, models.PROTECT, null=True, blank=True, related_name="schemas")
    writers = models.ManyToManyField(Client, blank=True, related_name="writable_schemas")
    strict_writers_only = models.BooleanField(
        default=False, help_text="Only clients with the strict profile may write versions."
    )
    state = models.CharField(max_length=16, choices=SchemaState, default=SchemaState.AVAILABLE)
    state_reason = models.CharField(max_length=500, blank=True)
    state_changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )
    state_changed_at = models.DateTimeField(null=True, blank=True, editable=False)
    deprecated_on = models.DateField(null=True, blank=True)
    deprecated_for = models.ForeignKey(
        "self",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="The schema to use instead.",
    )
    compatibility = models.CharField(
        max_length=24, choices=CompatibilityMode, default=CompatibilityMode.BACKWARD
    )
    versions_need_approval = models.BooleanField(default=False)
    break_glass_until = models.DateTimeField(
        null=True, blank=True, help_text="Until then incompatible versions are let through (audited)."
    )
    latest_number = models.PositiveIntegerField(default=0, editable=False)
    served_number = models.PositiveIntegerField(
        default=0, editable=False, help_text="The newest version that is served; 0 while none is."
    )
    served_format = models.CharField(max_length=16, blank=True, editable=False)
    generation = models.PositiveIntegerField(
        default=1, editable=False, help_text="Counts how often the name was taken up again after a deletion."
    )
    search_text = models.TextField(
        blank=True, editable=False, help_text="Name, description and field names, in lower case."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = SchemaQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        permissions = [
            ("approve_schema", "Can approve a schema or a version"),
            ("block_schema", "Can block a schema"),
            ("deprecate_schema", "Can deprecate a schema"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=SchemaState.values), name="schema_state_known"),
            models.CheckConstraint(
                condition=Q(compatibility__in=CompatibilityMode.values), name="schema_compatibility_known"
            ),
            models.CheckConstraint(
                condition=Q(name__regex=SCHEMA_NAME_PATTERN), name="schema_name_well_formed"
            ),
        ]
        indexes = [
            models.Index(fields=["name"], condition=Q(deleted_at__isnull=True), name="schema_alive_by_name"),
            models.Index(fields=["owner", "name"], name="schema_by_owner"),
            models.Index(fields=["state", "name"], name="schema_by_state"),
            models.Index(
                fields=["created_at"], condition=Q(deleted_at__isnull=True), name="schema_alive_by_creation"
            ),
            models.Index(
                fields=["updated_at"], condition=Q(deleted_at__isnull=True), name="schema_alive_by_update"
            ),
        ]

    def __str__(self) -> str:
        return self.name
