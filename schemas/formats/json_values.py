"""What must hold for any JSON document before a format looks at it.

Checked without recursion, so that a document nested a million levels deep is refused and not a
crash: only JSON types, only numbers and strings that RFC 8785 (and so RFC 7493, I-JSON) can
canonicalize, and the limits on depth, values and bytes.
"""

import math
from typing import Any

from schemas.formats.limits import MAX_DEPTH, MAX_DOCUMENT_BYTES, MAX_NODES, MAX_SAFE_INTEGER
from schemas.formats.problems import ProblemList, step


def check_json_value(content: Any, problems: ProblemList) -> None:
    """Adds a problem for everything in `content` that is no admissible JSON, or too much of it."""
    stack: list[tuple[Any, str, int]] = [(content, "", 1)]
    nodes = size = 0
    while stack:
        value, pointer, depth = stack.pop()
        nodes += 1
        if nodes > MAX_NODES:
            problems.add("DOCUMENT_TOO_LARGE", "", f"A schema document holds at most {MAX_NODES} values.")
            return
        if depth > MAX_DEPTH:
            problems.add(
                "DOCUMENT_TOO_DEEP", pointer, f"A schema document nests at most {MAX_DEPTH} levels deep."
            )
            return
        size += _scalar_size(value, pointer, problems)
        if isinstance(value, dict):
            stack.extend(
                (entry, step(pointer, key), depth + 1)
                for key, entry in reversed(value.items())
                if _key_is_sound(key, pointer, problems)
            )
            size += sum(len(key) + 4 for key in value if isinstance(key, str))
        elif isinstance(value, list):
            stack.extend(
                (entry, step(pointer, index), depth + 1) for index, entry in reversed(list(enumerate(value)))
            )
        if size > MAX_DOCUMENT_BYTES:
            problems.add(
                "DOCUMENT_TOO_LARGE", "", f"A schema document has at most {MAX_DOCUMENT_BYTES} bytes."
            )
            return


def _scalar_size(value: Any, pointer: str, problems: ProblemList) -> int:
    if isinstance(value, str):
        if not _is_unicode(value):
            problems.add(
                "STRING_NOT_UNICODE", pointer, "The string holds a lone surrogate; send valid Unicode."
            )
            return len(value)
        return len(value.encode()) + 3
    if value is None or isinstance(value, bool | dict | list):
        return 6
    if isinstance(value, int):
        if abs(value) > MAX_SAFE_INTEGER:
            problems.add(
                "NUMBER_NOT_INTEROPERABLE",
                pointer,
                "Integers beyond ±(2^53 - 1) are read differently by different JSON implementations.",
            )
        return 16
    if isinstance(value, float):
        if not math.isfinite(value):
            problems.add("NUMBER_NOT_FINITE", pointer, "JSON has neither NaN nor infinity.")
        return 16
    problems.add("NOT_JSON", pointer, f"A Python {type(value).__name__} is no JSON value.")
    return 1


def _key_is_sound(key: Any, pointer: str, problems: ProblemList) -> bool:
    if isinstance(key, str) and _is_unicode(key):
        return True
    problems.add("STRING_NOT_UNICODE", pointer, "A key of this object is no valid Unicode string.")
    return False


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text) if not text.isascii() else True
