"""How large a JSON Schema becomes when its local references are written out."""

from __future__ import annotations

from typing import Any, Final

from schemas.formats.json_schema_walk import anchors_of, resolve_local

MAX_WRITTEN_OUT: Final = 50_000
"""Values that a document with its references written out may hold."""


def is_expandable(schema: Any) -> bool:
    """Whether the references of a sound document can be written out in bounded time.

    Counted, not written: references to references multiply. A document that refers to itself has no end.
    """
    try:
        return _Counter(schema).count(schema) <= MAX_WRITTEN_OUT
    except RecursionError:
        return False


class _Counter:
    def __init__(self, root: Any) -> None:
        self._root = root
        self._anchors = anchors_of(root)
        self._known: dict[str, int] = {}

    def count(self, value: Any) -> int:
        if isinstance(value, list):
            return 1 + sum(self.count(entry) for entry in value)
        if not isinstance(value, dict):
            return 1
        reference = value.get("$ref")
        below = 1 + sum(
            self.count(entry) for name, entry in value.items() if name not in ("$defs", "definitions")
        )
        if isinstance(reference, str) and reference.startswith("#"):
            below += self._referred(reference)
        return below

    def _referred(self, reference: str) -> int:
        if reference not in self._known:
            self._known[reference] = MAX_WRITTEN_OUT + 1  # what it is while it is being counted: without end
            try:
                self._known[reference] = self.count(resolve_local(self._root, reference, self._anchors))
            except LookupError:
                self._known[reference] = 1
        return self._known[reference]
