"""How deep a document may nest before checking it could take exponential time.

Where alternatives lead to the same property (`anyOf` of two objects that both describe `next`, and
`next` leads back), every level of a document is checked once for each way that leads to it, and the
ways multiply from level to level. The ways are counted per level before anything is checked.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final, TypeVar

from schemas.formats.problems import Problem

Node = TypeVar("Node")
Parts = tuple[Sequence[Node], Sequence[Sequence[Node]]]
"""(what is checked against the same value, groups of what is checked against the same part of it)."""

MAX_WAYS: Final = 100_000
"""Ways that may lead to one value of a document."""

MAX_LEVELS: Final = 1_000
"""Deeper no parsed JSON document nests."""

MAX_WORK: Final = 4_000_000
"""Nodes looked at, over all levels; reaching it bounds the depth, too."""


def safe_depth(root: Node, key: Callable[[Node], Hashable], parts: Callable[[Node], Parts[Node]]) -> int:
    """Levels of nesting up to which at most `MAX_WAYS` ways lead to a value; `MAX_LEVELS` where that holds always.

    `parts` takes a node of the schema apart; nodes with the same `key` are one.
    """
    order, taken_apart = _in_order(root, key, parts)
    ways: dict[Hashable, int] = {}
    for level in range(MAX_LEVELS):
        above, ways = ways, {}
        for node in order:
            in_place, groups = taken_apart[node]
            below = max((sum(above.get(entry, 1) for entry in group) for group in groups), default=0)
            ways[node] = 1 + sum(ways.get(entry, 1) for entry in in_place) + below
        if ways[key(root)] > MAX_WAYS:
            return level
        if ways == above:
            return MAX_LEVELS
        if (level + 1) * len(order) > MAX_WORK:
            return level + 1
    return MAX_LEVELS


def _in_order(
    root: Node, key: Callable[[Node], Hashable], parts: Callable[[Node], Parts[Node]]
) -> tuple[list[Hashable], dict[Hashable, tuple[list[Hashable], list[list[Hashable]]]]]:
    """Every node, those checked in place before the node itself; and what each is made of."""
    order: list[Hashable] = []
    taken_apart: dict[Hashable, tuple[list[Hashable], list[list[Hashable]]]] = {}
    starts = [root]
    while starts:
        stack: list[tuple[Node, bool]] = [(starts.pop(), False)]
        while stack:
            node, done = stack.pop()
            if done:
                order.append(key(node))
            elif key(node) not in taken_apart:
                in_place, groups = parts(node)
                taken_apart[key(node)] = (
                    [key(entry) for entry in in_place],
                    [[key(entry) for entry in group] for group in groups],
                )
                stack.append((node, True))
                stack.extend((entry, False) for entry in in_place)
                starts.extend(entry for group in groups for entry in group)
    return order, taken_apart


def nests_deeper(document: Any, levels: int) -> bool:
    """Whether a parsed JSON document has containers inside one another on more than `levels` levels."""
    layer = [document]
    for _ in range(levels + 1):
        inner: list[Any] = []
        for value in layer:
            if isinstance(value, dict):
                inner.extend(value.values())
            elif isinstance(value, list):
                inner.extend(value)
        layer = [value for value in inner if isinstance(value, dict | list)]
        if not layer:
            return False
    return True


def too_deep(levels: int) -> Problem:
    message = (
        f"Alternatives of the schema multiply with the depth of a document, so at most {levels} levels are checked."
    )
    return Problem("DOCUMENT_TOO_DEEP", "", message)
