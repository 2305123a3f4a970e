"""Two versions side by side, with what their difference means for readers and writers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from schemas.errors import SchemaError
from schemas.models import SchemaVersion
from schemas.verdicts import compare_versions

MAX_LINES = 3000
CONTEXT = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One line of either side; `kind` is "same", "changed", "removed", "added" or "gap"."""

    kind: str
    old_number: int | None = None
    old: str = ""
    new_number: int | None = None
    new: str = ""


def side_by_side(old: Any, new: Any) -> list[Row] | None:
    """The rows of a diff, unchanged stretches cut short; None for documents too long to be compared."""
    left, right = _pretty(old), _pretty(new)
    if max(len(left), len(right)) > MAX_LINES:
        return None
    matcher = SequenceMatcher(a=left, b=right, autojunk=len(left) > 500)
    rows: list[Row] = []
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            rows += _equal(left, a, b, c, first=a == 0, last=b == len(left))
        else:
            rows += _different(left, right, a, b, c, d)
    return rows


def report_of(old: SchemaVersion, new: SchemaVersion) -> dict[str, Any]:
    """The compatibility of the two in both directions, or why it cannot be told."""
    try:
        report = compare_versions(old, new, mode="FULL").to_dict()
    except SchemaError as error:
        return {"error": error.message}
    directions = {"BACKWARD": True, "FORWARD": True}
    for difference in report["differences"]:
        if difference["breaking"]:
            directions[difference["direction"]] = False
        if "counterexample" in difference:
            difference["counterexample_text"] = json.dumps(difference["counterexample"], ensure_ascii=False)[
                :400
            ]
    return {**report, "backward": directions["BACKWARD"], "forward": directions["FORWARD"]}


def _pretty(content: Any) -> list[str]:
    return json.dumps(content, indent=2, ensure_ascii=False).splitlines()


def _equal(lines: list[str], a: int, b: int, c: int, *, first: bool, last: bool) -> Iterator[Row]:
    """Unchanged lines, all but the nearest to a change left out."""
    head = 0 if first else CONTEXT
    tail = 0 if last else CONTEXT
    for index in range(b - a):
        if index == head and b - a > head + tail + 1:
            yield Row("gap", old=f"{b - a - head - tail} unchanged lines")
        if index < head or index >= b - a - tail or b - a <= head + tail + 1:
            yield Row("same", a + index + 1, lines[a + index], c + index + 1, lines[a + index])


def _different(left: list[str], right: list[str], a: int, b: int, c: int, d: int) -> Iterator[Row]:
    for offset in range(max(b - a, d - c)):
        has_old, has_new = a + offset < b, c + offset < d
        yield Row(
            "changed" if has_old and has_new else "removed" if has_old else "added",
            a + offset + 1 if has_old else None,
            left[a + offset] if has_old else "",
            c + offset + 1 if has_new else None,
            right[c + offset] if has_new else "",
        )
