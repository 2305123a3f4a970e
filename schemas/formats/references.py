"""References from one registered schema to another: `datafold:NAME/VERSION`."""

import re
from typing import Any, Final

SCHEME: Final = "datafold:"
REFERENCE: Final = re.compile(
    r"datafold:(?P<name>[^/#?\s\x00-\x1f]{1,100})/(?P<version>[^/#?\s\x00-\x1f]{1,64})(?:#.*)?"
)


def parse_reference(reference: str) -> tuple[str, str] | None:
    """Name and version of the schema that `reference` points into; None if it is none of ours."""
    match = REFERENCE.fullmatch(reference)
    return (match["name"], match["version"]) if match else None


def references(content: Any) -> set[tuple[str, str]]:
    """The (name, version) of every registered schema that a `$ref` in `content` names.

    Looks at every object that has a `$ref`, without recursion; never raises on any JSON value.
    """
    found: set[tuple[str, str]] = set()
    stack = [content]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack.extend(value)
        elif isinstance(value, dict):
            stack.extend(value.values())
            reference = value.get("$ref")
            if isinstance(reference, str) and (named := parse_reference(reference)):
                found.add(named)
    return found
