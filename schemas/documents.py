"""A schema document on its way in: checked, normalised, with its canonical form and fingerprints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from schemas.errors import SchemaInvalid
from schemas.formats import (
    FormatError,
    Problem,
    canonical,
    check_document,
    content_digest,
    fingerprint,
    references,
)

MAX_SEARCH_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class Document:
    """A sound document.

    `fingerprint` is the SHA-256 of the canonical form, `digest` that of the whole content (hex).
    """

    format: str
    content: Any
    canonical: bytes
    fingerprint: str
    digest: str
    references: tuple[tuple[str, str], ...]


def read_document(format: str, content: Any) -> Document:  # noqa: A002
    """Check `content`, any parsed JSON value. Raises `SchemaInvalid` with every problem."""
    if problems := check_document(format, content):
        raise invalid(format, problems)
    content = normalised(format, content)
    try:
        return Document(
            format=format,
            content=content,
            canonical=canonical(format, content),
            fingerprint=fingerprint(format, content),
            digest=content_digest(content),
            references=tuple(sorted(references(content))),
        )
    except FormatError as error:
        raise invalid(format, error.problems or [Problem(error.code, "", error.message)]) from error


def invalid(format: str, problems: list[Problem]) -> SchemaInvalid:  # noqa: A002
    first = problems[0]
    more = f" There are {len(problems)} problems; details list them all." if len(problems) > 1 else ""
    where = f" (at {first.pointer})" if first.pointer else ""
    return SchemaInvalid(
        f"This is no valid schema of the format {format}: {first.message}{where}{more}",
        problems=[problem.to_dict() for problem in problems],
    )


def normalised(format: str, content: Any) -> Any:  # noqa: A002
    """Two spellings of the same list of fields become one: `required` said, an empty description not."""
    if format != "fields":
        return content
    return [_normalised_field(field) for field in content]


def _normalised_field(field: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in field.items() if name != "description" or value is not None}
    return kept if "required" in kept else {**kept, "required": False}


def search_text(name: str, description: str, content: Any) -> str:
    """What a text search looks at: name, description and the names of fields, in lower case."""
    parts = [name, description, *dict.fromkeys(field_names(content))]
    return "\n".join(parts).lower().replace("\x00", "")[:MAX_SEARCH_CHARACTERS]


def field_names(content: Any) -> Iterator[str]:
    """The names of fields and properties in a document of any format, without recursion."""
    stack = [content]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack.extend(value)
        elif isinstance(value, dict):
            if isinstance(value.get("name"), str):
                yield value["name"]
            properties = value.get("properties")
            if isinstance(properties, dict):
                yield from properties
            stack.extend(value.values())
