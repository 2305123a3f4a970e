"""Who may write a schema, and what of it is served."""

from __future__ import annotations

import re

from django.conf import settings
from django.db.models import QuerySet

from accounts.models import Profile
from schemas.errors import SchemaBlocked, SchemaForbidden, SchemaNotFound
from schemas.models import Schema, SchemaState, SchemaVersion
from schemas.models.schema import SCHEMA_NAME_PATTERN
from schemas.receipts import Author

MAX_NUMBER = 2**31 - 1


def find_schema(name: str) -> Schema:
    """The schema of that name that is not deleted. Raises `SchemaNotFound`."""
    schema = None
    if re.fullmatch(SCHEMA_NAME_PATTERN, name):
        schema = Schema.objects.alive().select_related("owner", "deprecated_for").filter(name=name).first()
    if schema is None:
        raise SchemaNotFound(f"There is no schema {name[:100]!r}. GET schemas lists those there are.")
    return schema


def find_version(schema: Schema, number: int) -> SchemaVersion:
    """The version of that number, served or not. Raises `SchemaNotFound`."""
    version = None
    if 0 < number <= MAX_NUMBER:
        version = living_versions(schema).select_related("author", "author_key").filter(number=number).first()
    if version is None:
        raise version_not_found(schema, number)
    version.schema = schema
    return version


def latest_version(schema: Schema) -> SchemaVersion | None:
    """The newest version that is served; None while none is."""
    version = (
        living_versions(schema)
        .select_related("author", "author_key")
        .filter(number=schema.served_number)
        .first()
    )
    if version is not None:
        version.schema = schema
    return version


def version_not_found(schema: Schema, number: int) -> SchemaNotFound:
    return SchemaNotFound(
        f"The schema {schema.name} has no version {str(number)[:20]}. Its newest is {schema.served_number}."
    )


def living_versions(schema: Schema) -> QuerySet[SchemaVersion]:
    """The versions since the name was last taken up, newest first."""
    return schema.versions.filter(generation=schema.generation)


def served_versions(schema: Schema) -> QuerySet[SchemaVersion]:
    """Those of them that readers may see."""
    versions = living_versions(schema)
    return versions.filter(approved_at__isnull=False) if schema.versions_need_approval else versions


def visible_versions(schema: Schema, client_pk: int | None) -> QuerySet[SchemaVersion]:
    """Those of them that a client may see: its owner and writers see what waits for approval, too."""
    return living_versions(schema) if may_write(schema, client_pk) else served_versions(schema)


def is_served(version: SchemaVersion) -> bool:
    return version.approved_at is not None or not version.schema.versions_need_approval


def may_write(schema: Schema, client_pk: int | None) -> bool:
    """Whether a client is the owner of `schema` or one of its writers."""
    if not settings.DATAFOLD_ENABLE_AUTH:
        return True
    if client_pk is None:
        return False
    return schema.owner_id == client_pk or schema.writers.filter(pk=client_pk).exists()


def check_writer(schema: Schema, author: Author | None) -> None:
    """Raises `SchemaForbidden` unless the author may write versions of `schema`."""
    if not may_write(schema, author.client_pk if author else None):
        raise SchemaForbidden(
            f"The schema {schema.name} belongs to {owner_label(schema)}, and only its owner and the writers that the "
            "owner names may write it. Ask the owner to add you as a writer.",
            owner=schema.owner.client_id if schema.owner else None,
        )
    if author and schema.strict_writers_only and author.profile != Profile.STRICT:
        raise SchemaForbidden(
            f"The schema {schema.name} takes versions only from clients with the strict profile, and yours is "
            f"{author.profile}. Ask an operator to make this client strict.",
            profile=author.profile,
        )


def check_owner(schema: Schema, author: Author | None) -> None:
    """Raises `SchemaForbidden` unless the author owns `schema`."""
    if not settings.DATAFOLD_ENABLE_AUTH:
        return
    if author is None or schema.owner_id != author.client_pk:
        raise SchemaForbidden(
            f"The schema {schema.name} belongs to {owner_label(schema)}. Only the owner may do this; ask it, or an "
            "operator.",
            owner=schema.owner.client_id if schema.owner else None,
        )


def check_not_blocked(schema: Schema) -> None:
    """Raises `SchemaBlocked`, with the operator's reason."""
    if schema.state == SchemaState.BLOCKED:
        raise SchemaBlocked(
            f"An operator blocked the schema {schema.name}: {schema.state_reason or 'no reason given'}. Use another "
            "schema, or ask the operators.",
            reason=schema.state_reason,
            since=schema.state_changed_at.isoformat() if schema.state_changed_at else None,
        )


def owner_label(schema: Schema) -> str:
    return schema.owner.client_id if schema.owner else "nobody"
