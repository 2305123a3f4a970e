"""References between registered schemas: resolved in the registry and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import F, Q

from schemas.documents import Document, invalid
from schemas.formats import FormatError, Problem
from schemas.formats.field_schema import fields_to_json_schema
from schemas.formats.json_schema_compile import compiled_json_schema
from schemas.models import Schema, SchemaReference, SchemaState, SchemaVersion

MAX_DEPTH = 8
MAX_RESOLVED = 200

Resources = Mapping[tuple[str, str], Any]
Reference = tuple[str, str]


def resolve_references(document: Document) -> dict[Reference, SchemaVersion]:
    """The registered versions that `document` names, directly.

    A version can only refer to versions that exist already, so a cycle cannot come about.

    Raises:
        SchemaInvalid: one does not exist, is blocked, cannot be used from JSON Schema, or the chain is too long.
    """
    targets: dict[Reference, SchemaVersion] = {}
    problems = []
    for name, version in document.references:
        target = _find(name, version)
        if target is None:
            problems.append(_problem(name, version, "is not registered here"))
        elif target.schema.state == SchemaState.BLOCKED:
            problems.append(_problem(name, version, "is blocked by an operator"))
        elif target.format == "avro":
            problems.append(_problem(name, version, "is an Avro schema, which no $ref can use"))
        else:
            targets[name, version] = target
    if not problems and targets:
        problems = _chain_problems(targets) or _problems_together(document, targets)
    if problems:
        raise invalid(document.format, problems)
    return targets


def resources_of(targets: Mapping[Reference, SchemaVersion]) -> Resources:
    """The content (JSON Schema) of every version that is reached from `targets`, by name and version."""
    found: dict[Reference, SchemaVersion] = dict(targets)
    level = list(targets.values())
    for _ in range(MAX_DEPTH):
        level = [
            found.setdefault((row.name, row.version), row.target)
            for row in _rows(level)
            if (row.name, row.version) not in found
        ]
        if not level:
            break
    return {reference: as_json_schema(version) for reference, version in found.items()}


def resources_for(version: SchemaVersion) -> Resources:
    """What a registered version needs to be compiled."""
    if version.format == "avro":
        return {}
    rows = version.references.select_related("target")
    return resources_of({(row.name, row.version): row.target for row in rows})


def as_json_schema(version: SchemaVersion) -> Any:
    return fields_to_json_schema(version.content) if version.format == "fields" else version.content


def bind_references(version: SchemaVersion, targets: Mapping[Reference, SchemaVersion]) -> None:
    SchemaReference.objects.bulk_create(
        SchemaReference(source=version, target=target, name=name, version=named)
        for (name, named), target in targets.items()
    )


def referring_versions(schema: Schema) -> list[SchemaVersion]:
    """Versions of other living schemas that refer to one of `schema`'s, at most 100."""
    sources = SchemaReference.objects.filter(target__schema=schema).values("source")
    return list(
        SchemaVersion.objects.select_related("schema")
        .defer("content", "canonical", "receipt")
        .filter(pk__in=sources, schema__deleted_at__isnull=True, generation=F("schema__generation"))
        .exclude(schema=schema)
        .order_by("schema__name", "number")[:100]
    )


def _find(name: str, version: str) -> SchemaVersion | None:
    """Digits are a number first, and only then a version string."""
    named = Q(version=version)
    schema = Schema.objects.alive().filter(name=name).first()
    if schema is None:
        return None
    if version.isascii() and version.isdigit() and len(version) < 10:
        named |= Q(number=int(version))
    found = schema.versions.filter(named, generation=schema.generation)
    if schema.versions_need_approval:
        found = found.filter(approved_at__isnull=False)
    target = min(found, key=lambda candidate: str(candidate.number) != version, default=None)
    if target is not None:
        target.schema = schema
    return target


def _chain_problems(targets: Mapping[Reference, SchemaVersion]) -> list[Problem]:
    """Depth and number of what is reached; two spellings never mean two versions in one compilation."""
    seen: dict[Reference, int] = {reference: target.pk for reference, target in targets.items()}
    level = list(targets.values())
    for _ in range(MAX_DEPTH):
        following = []
        for row in _rows(level):
            bound = seen.setdefault((row.name, row.version), row.target_id)
            if bound != row.target_id:
                message = (
                    f"datafold:{row.name}/{row.version} means another version inside a referred schema than here: "
                    "the name was deleted and taken up again."
                )
                return [Problem("REFERENCE_AMBIGUOUS", "", message)]
            following.append(row.target)
        if len(seen) > MAX_RESOLVED:
            message = f"Together with what it refers to, it reaches over {MAX_RESOLVED} schemas."
            return [Problem("TOO_MANY_REFERENCES", "", message)]
        if not following:
            return []
        level = following
    return [Problem("REFERENCES_TOO_DEEP", "", f"References lead over {MAX_DEPTH} schemas in a row.")]


def _problems_together(document: Document, targets: Mapping[Reference, SchemaVersion]) -> list[Problem]:
    """A part of a schema that it does not have, or more checks of one value than are bearable."""
    try:
        compiled_json_schema(document.content, resources_of(targets))
    except FormatError as error:
        return [
            Problem(
                "REFERENCE_UNRESOLVED" if error.code == "SCHEMA_INVALID" else error.code, "", error.message
            )
        ]
    return []


def _rows(sources: Iterable[SchemaVersion]) -> Iterable[SchemaReference]:
    return SchemaReference.objects.select_related("target").filter(source__in=list(sources))


def _problem(name: str, version: str, why: str) -> Problem:
    return Problem("REFERENCE_UNRESOLVED", "", f"datafold:{name}/{version} {why}.")
