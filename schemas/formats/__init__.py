"""The formats in which schemas are written: checking, canonical form, fingerprint, references.

Pure: no Django, no clock, no I/O. Nothing here raises on any JSON value, however hostile; what
cannot be used is reported as a `Problem` by `check_document`, and as a `FormatError` by whatever
needs a sound document.
"""

import hashlib
from typing import Any, Final

import rfc8785

from schemas.formats.avro import check_avro, parse_avro
from schemas.formats.avro_canonical import avro_canonical
from schemas.formats.fields import check_fields
from schemas.formats.json_schema import check_json_schema
from schemas.formats.json_values import check_json_value
from schemas.formats.problems import FormatError, Problem, ProblemList, TooManyProblemsError
from schemas.formats.references import references

FORMATS: Final = ("fields", "jsonschema", "avro")

__all__ = [
    "FORMATS",
    "FormatError",
    "Problem",
    "canonical",
    "check_document",
    "content_digest",
    "fingerprint",
    "references",
]


def check_document(format: str, content: Any) -> list[Problem]:  # noqa: A002
    """Every problem of the schema document `content`, at most `limits.MAX_PROBLEMS`; [] if it is sound.

    `content` is any parsed JSON value. Never raises; an unknown `format` is a problem too.
    """
    problems = ProblemList()
    try:
        check_json_value(content, problems)
        if not len(problems):
            _check_format(format, content, problems)
    except TooManyProblemsError:
        pass
    return problems.as_list()


def _check_format(format: str, content: Any, problems: ProblemList) -> None:  # noqa: A002
    check = {"fields": check_fields, "jsonschema": check_json_schema, "avro": check_avro}.get(format)
    if check is None:
        problems.add("FORMAT_UNKNOWN", "", f"Schemas are written in one of {', '.join(FORMATS)}.")
    else:
        check(content, problems)


def canonical(format: str, content: Any) -> bytes:  # noqa: A002
    """The canonical form of a sound document: two documents that say the same have the same bytes.

    RFC 8785 for `fields` and `jsonschema`; the Parsing Canonical Form of the Avro 1.11
    specification for `avro`, which leaves out what does not matter for reading data: documentation,
    defaults, aliases and logical types.

    Raises `FormatError` (`SCHEMA_INVALID`) where there is no canonical form.
    """
    return avro_canonical(parse_avro(content)) if format == "avro" else _json_canonical(content)


def fingerprint(format: str, content: Any) -> str:  # noqa: A002
    """SHA-256 of the canonical form, 64 hex characters. Raises as `canonical` does."""
    return hashlib.sha256(canonical(format, content)).hexdigest()


def content_digest(content: Any) -> str:
    """SHA-256 of the RFC 8785 form of the whole content, whatever its format, 64 hex characters.

    Unlike `fingerprint` this tells apart two Avro schemas that differ in a default or an alias.
    """
    return hashlib.sha256(_json_canonical(content)).hexdigest()


def _json_canonical(content: Any) -> bytes:
    try:
        return rfc8785.dumps(content)
    except (rfc8785.CanonicalizationError, RecursionError, UnicodeError) as error:
        raise FormatError("SCHEMA_INVALID", f"The document has no canonical form: {error}") from error
