"""Schemas and versions as the API shows them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Q

from project.api.envelope import rfc3339
from schemas import access
from schemas.models import Schema, SchemaState, SchemaVersion
from schemas.suspects import is_suspect


def version_data(version: SchemaVersion) -> dict[str, Any]:
    """A version; `state` is the schema's, or "pending" while the version waits for approval."""
    return {
        "name": version.schema.name,
        "number": version.number,
        "version": version.version,
        "format": version.format,
        "content": version.content,
        "fingerprint": version.fingerprint,
        "state": version.schema.state if access.is_served(version) else "pending",
        "approved_at": rfc3339(version.approved_at) if version.approved_at else None,
        "created_by": version.author.client_id if version.author else None,
        "author_key": version.author_key.thumbprint if version.author_key else None,
        "suspect": is_suspect(version),
        "created_at": rfc3339(version.created_at),
    }


def schema_data(schema: Schema, version: SchemaVersion | None) -> dict[str, Any]:
    """A schema and the version that stands for it; None while none is served."""
    return {
        "name": schema.name,
        "description": schema.description,
        "owner": schema.owner.client_id if schema.owner else None,
        "state": schema.state,
        "state_reason": schema.state_reason,
        "deprecated_on": schema.deprecated_on.isoformat() if schema.deprecated_on else None,
        "successor": schema.deprecated_for.name if schema.deprecated_for else None,
        "compatibility": schema.compatibility,
        "versions_need_approval": schema.versions_need_approval,
        "strict_writers_only": schema.strict_writers_only,
        "number": version.number if version else None,
        "version": version.version if version else None,
        "format": version.format if version else None,
        "fields": version.content if version and version.format == "fields" else None,
        "content": version.content if version else None,
        "fingerprint": version.fingerprint if version else None,
        "suspect": bool(version and is_suspect(version)),
        "created_at": rfc3339(schema.created_at),
        "updated_at": rfc3339(schema.updated_at),
    }


def schemas_data(schemas: Iterable[Schema]) -> list[dict[str, Any]]:
    """A page of schemas with their newest versions, which take one query for all.

    A blocked schema is listed without its content: reading it is refused.
    """
    page = list(schemas)
    served = [
        Q(schema_id=schema.pk, number=schema.served_number)
        for schema in page
        if schema.state != SchemaState.BLOCKED and schema.served_number
    ]
    newest = SchemaVersion.objects.select_related("author_key").defer("canonical", "receipt")
    newest = newest.filter(reduce(or_, served, Q(pk__in=[])))
    by_schema = {version.schema_id: version for version in newest}
    return [schema_data(schema, by_schema.get(schema.pk)) for schema in page]
