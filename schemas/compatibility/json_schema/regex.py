"""A little about regular expressions: does one match everything, can two match the same, an example.

Read with the parser of Python's `re`, whose syntax the patterns admitted in schemas share for all
that is looked at here. Whatever is not understood is answered on the safe side.
"""

import re
import warnings
from functools import lru_cache
from importlib import import_module
from typing import Any, Final

# By name: typeshed does not know them.
constants: Any = import_module("re._constants")
parser: Any = import_module("re._parser")

MAX_EXAMPLE: Final = 200


@lru_cache(maxsize=512)
def _parsed(pattern: str) -> list[Any] | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return list(parser.parse(pattern))
    except (re.error, RecursionError, OverflowError, ValueError):
        return None


def matches_everything(pattern: str) -> bool:
    """Whether `pattern` is surely found in every string."""
    parsed = _parsed(pattern)
    if parsed is None:
        return False
    if len(parsed) == 1 and parsed[0] == (constants.AT, constants.AT_BEGINNING):
        return True
    begins = [token for token in parsed if token != (constants.AT, constants.AT_BEGINNING)]
    return all(
        token[0] in (constants.MAX_REPEAT, constants.MIN_REPEAT)
        and token[1][0] == 0
        and _is_flat(token[1][2])
        for token in begins
    )


def _is_flat(inner: Any) -> bool:
    return all(
        token[0] in (constants.LITERAL, constants.NOT_LITERAL, constants.IN, constants.ANY) for token in inner
    )


def literal_prefix(pattern: str) -> str | None:
    """What every match begins with when it is anchored at the start; None if it is not anchored."""
    parsed = _parsed(pattern)
    if not parsed or parsed[0] != (constants.AT, constants.AT_BEGINNING):
        return None
    prefix = ""
    for operator, argument in parsed[1:]:
        if operator is not constants.LITERAL:
            break
        prefix += chr(argument)
    return prefix


def are_disjoint(one: str, other: str) -> bool:
    """Whether surely no string matches both: they begin differently."""
    prefixes = (literal_prefix(one), literal_prefix(other))
    if prefixes[0] is None or prefixes[1] is None or re.search(r"\(\?[a-zA-Z]|\|", one + other):
        return False
    return not prefixes[0].startswith(prefixes[1]) and not prefixes[1].startswith(prefixes[0])


@lru_cache(maxsize=512)
def example(pattern: str, repeats: int = 0, *, last: bool = False) -> str:
    """A string that `pattern` probably matches; `repeats` more than the least where it may repeat.

    Of alternatives and ranges the first, or the `last`.
    """
    parsed = _parsed(pattern)
    return "" if parsed is None else _example(parsed, repeats, last)[:MAX_EXAMPLE]


def _example(parsed: Any, repeats: int, last: bool) -> str:
    text = ""
    for operator, argument in parsed:
        if len(text) > MAX_EXAMPLE:
            break
        text += _token_example(operator, argument, repeats, last)
    return text


def _token_example(operator: Any, argument: Any, repeats: int, last: bool) -> str:
    if operator is constants.LITERAL:
        return chr(argument)
    if operator is constants.NOT_LITERAL:
        return "a" if argument != ord("a") else "b"
    if operator is constants.ANY:
        return "a"
    if operator is constants.IN:
        return _set_example(argument, last)
    if operator in (constants.MAX_REPEAT, constants.MIN_REPEAT):
        low, high, inner = argument
        times = min(int(low) + min(repeats, int(high) - int(low)), MAX_EXAMPLE)
        return _example(inner, repeats, last) * times
    if operator is constants.SUBPATTERN:
        return _example(argument[3], repeats, last)
    if operator is constants.BRANCH:
        return _example(argument[1][-1 if last else 0], repeats, last)
    return ""


def _set_example(entries: Any, last: bool) -> str:
    if entries and entries[0][0] is constants.NEGATE:
        return next((c for c in "a0_ -éZ" if not any(_in(c, entry) for entry in entries[1:])), "\u4e00")
    for operator, argument in reversed(entries) if last else entries:
        if operator is constants.LITERAL:
            return chr(argument)
        if operator is constants.RANGE:
            return chr(argument[1 if last else 0])
        if operator is constants.CATEGORY:
            return {constants.CATEGORY_DIGIT: "0", constants.CATEGORY_SPACE: " "}.get(argument, "a")
    return "a"


def _in(character: str, entry: Any) -> bool:
    operator, argument = entry
    if operator is constants.LITERAL:
        return bool(argument == ord(character))
    if operator is constants.RANGE:
        return bool(argument[0] <= ord(character) <= argument[1])
    return True
