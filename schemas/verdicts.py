"""Compatibility of a document with the versions of a registered schema."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from schemas import access
from schemas.compatibility import (
    CompatibilityError,
    CompatibilityLimit,
    Difference,
    Direction,
    Mode,
    Policy,
    Report,
    check,
)
from schemas.documents import Document
from schemas.errors import SchemaIncompatible, SchemaInvalid, SchemaTooComplex
from schemas.formats.field_schema import fields_to_json_schema
from schemas.models import Schema, SchemaVersion
from schemas.references import Resources, resolve_references, resources_for, resources_of

MAX_SECONDS = 15.0
"""For all the versions that one document is compared with; each pair is bounded by itself."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A report, and the numbers of the versions that it speaks of; each difference names its own."""

    report: Report
    against: tuple[int, ...]

    @property
    def compatible(self) -> bool:
        return self.report.compatible

    def to_dict(self) -> dict[str, Any]:
        return {**self.report.to_dict(), "checked_against": list(self.against)}


@dataclass(frozen=True, slots=True)
class _Side:
    format: str
    content: Any
    resources: Resources


def check_new_version(schema: Schema, document: Document) -> Verdict | None:
    """The verdict over a version about to be registered.

    Returns:
        None if it is compatible; the incompatible verdict if break-glass lets it through.

    Raises:
        SchemaIncompatible, with the whole report.
        SchemaTooComplex: the two cannot be compared in bounded time.
    """
    if schema.compatibility == "NONE":
        return None
    verdict = judge(schema, document, mode=schema.compatibility)
    if verdict.compatible:
        return None
    if break_glass_open(schema):
        return verdict
    raise SchemaIncompatible(_explanation(schema, verdict), **verdict.to_dict())


def break_glass_open(schema: Schema) -> bool:
    return schema.break_glass_until is not None and schema.break_glass_until > timezone.now()


def judge(
    schema: Schema,
    document: Document,
    *,
    mode: str | None = None,
    policy: str | None = None,
    among: QuerySet[SchemaVersion] | None = None,
    against: Iterable[SchemaVersion] | None = None,
) -> Verdict:
    """Check `document` without writing anything.

    Args:
        mode: the schema's own unless given.
        policy: "exact" or "lenient"; DATAFOLD_COMPATIBILITY_POLICY unless given.
        among: the newest of these, or all of them for a transitive mode; unless given the schema's
            living versions, those that wait for approval too: they may be served any moment.
        against: exactly these.

    Raises:
        SchemaTooComplex, SchemaInvalid.
    """
    mode = mode or schema.compatibility
    if against is None:
        against = _versions_for(mode, access.living_versions(schema) if among is None else among)
    new = _Side(document.format, document.content, resources_of(resolve_references(document)))
    return _judge(against, new, mode, policy or settings.DATAFOLD_COMPATIBILITY_POLICY)


def compare_versions(old: SchemaVersion, new: SchemaVersion, *, mode: str = "FULL") -> Verdict:
    """The report on two registered versions, for the diff page. Raises as `judge`."""
    return _judge([old], _side_of(new), mode, settings.DATAFOLD_COMPATIBILITY_POLICY)


def _judge(versions: Iterable[SchemaVersion], new: _Side, mode: str, policy: str) -> Verdict:
    """One version after the other: there may be many, and large ones."""
    reports: dict[int, Report] = {}
    end = time.monotonic() + MAX_SECONDS
    try:
        for version in versions:
            if reports and time.monotonic() > end:
                raise _too_many(len(reports))
            report = _check_pair(_side_of(version), new, cast(Mode, mode), cast(Policy, policy))
            reports[version.number] = _numbered(report, version.number)
    except CompatibilityLimit as error:
        raise SchemaTooComplex(error.message, **error.details) from error
    except CompatibilityError as error:
        raise SchemaInvalid(error.message, **{"problems": [], **error.details}) from error
    return Verdict(_merged(list(reports.values()), cast(Mode, mode), policy), tuple(reports))


def _too_many(judged: int) -> SchemaTooComplex:
    return SchemaTooComplex(
        f"Only {judged} of the versions to be compared with could be judged within {MAX_SECONDS:.0f} seconds. Choose a "
        "mode that is not transitive, or begin a new schema.",
        judged=judged,
    )


def _side_of(version: SchemaVersion) -> _Side:
    return _Side(version.format, version.content, resources_for(version))


def _versions_for(mode: str, versions: QuerySet[SchemaVersion]) -> Iterable[SchemaVersion]:
    """Oldest first."""
    if mode.endswith("_TRANSITIVE"):
        return versions.order_by("number").iterator(chunk_size=20)
    return versions.order_by("-number")[:1]


def _check_pair(old: _Side, new: _Side, mode: Mode, policy: Policy) -> Report:
    if old.format != new.format:
        if "avro" in (old.format, new.format):
            return _format_changed(old.format, new.format, mode, policy)
        old, new = _as_json_schema(old), _as_json_schema(new)
    return check(
        new.format,
        old.content,
        new.content,
        mode,
        policy=policy,
        old_resources=old.resources or None,
        new_resources=new.resources or None,
    )


def _as_json_schema(side: _Side) -> _Side:
    if side.format == "fields":
        return replace(side, format="jsonschema", content=fields_to_json_schema(side.content))
    return side


def _format_changed(old: str, new: str, mode: Mode, policy: Policy) -> Report:
    message = (
        f"The old version is written in {old} and the new one in {new}; their data cannot be read alike."
    )
    direction: Direction = "FORWARD" if mode.startswith("FORWARD") else "BACKWARD"
    return Report(
        compatible=mode == "NONE",
        mode=mode,
        policy=policy,
        differences=[Difference("FORMAT_CHANGED", "", "", message, direction, mode != "NONE")],
    )


def _numbered(report: Report, number: int) -> Report:
    return replace(
        report, differences=[replace(difference, version=number) for difference in report.differences]
    )


def _merged(reports: Sequence[Report], mode: Mode, policy: str) -> Report:
    return Report(
        compatible=all(report.compatible for report in reports),
        mode=mode,
        policy=cast(Policy, policy),
        differences=[difference for report in reports for difference in report.differences],
    )


def _explanation(schema: Schema, verdict: Verdict) -> str:
    breaking = [difference for difference in verdict.report.differences if difference.breaking]
    first = breaking[0].message if breaking else "No proof of compatibility was found."
    return (
        f"The new version of {schema.name} is not {schema.compatibility} compatible: {first} Nothing was written. "
        "The report in details lists every difference with a document that shows it; change the document, or the "
        "schema's compatibility mode."
    )
