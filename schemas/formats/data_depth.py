"""How deep a document may nest before checking it could take exponential time.

Where alternatives lead to the same property (`anyOf` of two objects that both describe `next`, and
`next` leads back), every level of a document is checked once for each way that leads to it, and the
ways multiply from level to level. The ways are counted per level before anything is checked.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final, TypeVar

from schemas.formats.problems import Problem

Node = TypeVar("Node")
Parts = tuple[Sequence[Sequence[Node]], Sequence[Sequence[Node]]]
"""(groups of which one is gone into for the same value, groups that all look at the same part of it)."""

CHECKED_WAYS: Final = 3_000_000
"""Ways that may lead to one value where only a yes or no is asked for; about a second."""

EXPLAINED_WAYS: Final = 20_000
"""The same where every problem is told, of every alternative."""

MAX_LEVELS: Final = 1_000
"""Deeper no parsed JSON document nests."""

MAX_WORK: Final = 4_000_000
"""Nodes looked at, over all levels; reaching it bounds the depth, too."""


def safe_depth(
    root: Node, key: Callable[[Node], Hashable], parts: Callable[[Node], Parts[Node]], max_ways: int
) -> int:
    """Levels of nesting up to which at most `max_ways` ways lead to a value; `MAX_LEVELS` where that holds always.

    `parts` takes a node of the schema apart; nodes with the same `key` are one.
    """
    order, taken_apart = _in_order(root, key, parts)
    ways: dict[Hashable, int] = {}
    for level in range(MAX_LEVELS):
        above, ways = ways, {}
        for node in order:
            in_place, groups = taken_apart[node]
            here = sum(max(ways.get(entry, 1) for entry in group) for group in in_place if group)
            below = max((sum(above.get(entry, 1) for entry in group) for group in groups), default=0)
            ways[node] = 1 + here + below
        if ways[key(root)] > max_ways:
            return level
        if ways == above:
            return MAX_LEVELS
        if (level + 1) * len(order) > MAX_WORK:
            return level + 1
    return MAX_LEVELS


def _in_order(
    root: Node, key: Callable[[Node], Hashable], parts: Callable[[Node], Parts[Node]]
) -> tuple[list[Hashable], dict[Hashable, tuple[list[list[Hashable]], list[list[Hashable]]]]]:
    """Every node, those checked in place before the node itself; and what each is made of."""
    order: list[Hashable] = []
    taken_apart: dict[Hashable, tuple[list[list[Hashable]], list[list[Hashable]]]] = {}
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
                    [[key(entry) for entry in group] for group in in_place],
                    [[key(entry) for entry in group] for group in groups],
                )
                stack.append((node, True))
                stack.extend((entry, False) for group in in_place for entry in group)
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


def too_deep(levels: int, *, refused: bool = False) -> Problem:
    """Why a document that nests over `levels` deep is not checked or, if it is `refused`, not explained."""
    if refused:
        message = (
            "The document is refused. Alternatives of the schema multiply with its depth, so where it fails is told "
            f"for documents of at most {levels} levels only."
        )
        return Problem("VALUE_NOT_ALLOWED", "", message)
    message = f"Alternatives of the schema multiply with a document's depth, so at most {levels} levels are checked."
    return Problem("DOCUMENT_TOO_DEEP", "", message)
