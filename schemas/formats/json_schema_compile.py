"""Compiling a JSON Schema: one place that says with which options."""

from typing import Any

import jsonschema_rs

from schemas.formats.json_schema_size import Resources, in_place_size
from schemas.formats.json_schema_walk import DRAFT_7, dialect_of
from schemas.formats.limits import MAX_UNFOLDED
from schemas.formats.patterns import PATTERN_OPTIONS
from schemas.formats.problems import FormatError
from schemas.formats.references import SCHEME

__all__ = ["Resources", "compiled_json_schema", "registry_of"]


def compiled_json_schema(content: Any, resources: Resources | None = None) -> jsonschema_rs.Validator:
    """`content` compiled by `jsonschema_rs` in its own dialect, `format` asserted.

    Raises `FormatError`: `SCHEMA_INVALID`, or `SCHEMA_TOO_COMPLEX` if the references of all the
    documents together unfold beyond measure.
    """
    if resources and in_place_size(content, resources=resources, loops=True) > MAX_UNFOLDED:
        message = f"References unfold to more than {MAX_UNFOLDED} checks of a single value."
        raise FormatError("SCHEMA_TOO_COMPLEX", message)
    try:
        registry = registry_of(resources) if resources else None
        compile_schema = _compiler(content)
        compiled: jsonschema_rs.Validator = compile_schema(
            content, validate_formats=True, pattern_options=PATTERN_OPTIONS, offline=True, registry=registry
        )
    except (ValueError, TypeError, jsonschema_rs.ReferencingError) as error:
        reason = str(getattr(error, "message", error)).partition("\n")[0][:300]
        raise FormatError("SCHEMA_INVALID", f"The schema cannot be compiled: {reason}") from error
    return compiled


def _compiler(content: Any) -> Any:
    if isinstance(content, dict) and isinstance(content.get("$schema"), str):
        return jsonschema_rs.validator_for
    return (
        jsonschema_rs.Draft7Validator
        if dialect_of(content) == DRAFT_7
        else jsonschema_rs.Draft202012Validator
    )


def registry_of(resources: Resources, *more: tuple[str, Any]) -> jsonschema_rs.Registry:
    """The registered schemas by what `datafold:NAME/VERSION` references name, and `more` by their address.

    Each says in it which dialect it is read in: referred to from another dialect it means the same as by itself.
    """
    registered = ((f"{SCHEME}{name}/{version}", content) for (name, version), content in resources.items())
    return jsonschema_rs.Registry(
        [(address, _declaring(content)) for address, content in (*registered, *more)]
    )


def _declaring(content: Any) -> Any:
    return {**content, "$schema": dialect_of(content)} if isinstance(content, dict) else content
