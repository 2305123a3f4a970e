"""Regular expressions in schemas: only those that match in linear time, and not at any price.

Patterns are matched by the `regex` engine of Rust through `jsonschema_rs` (finite automata: no
backtracking, so no catastrophic patterns). What that engine cannot do, such as look-around and
back-references, is refused when the schema is registered; so are patterns whose automaton would
take too much memory, or too many steps for each character of a text.
"""

import re
import warnings
from functools import lru_cache
from importlib import import_module
from typing import Any, Final

import jsonschema_rs

from schemas.formats.limits import MAX_PATTERN_BYTES, MAX_PATTERN_LENGTH, MAX_PATTERN_STATES

constants: Any = import_module("re._constants")
parser: Any = import_module("re._parser")

PATTERN_OPTIONS = jsonschema_rs.RegexOptions(size_limit=MAX_PATTERN_BYTES, dfa_size_limit=MAX_PATTERN_BYTES)
TOO_MANY_PATTERNS: Final = (
    "The patterns up to here take too much memory together. "
    "Use fewer of them, or none with large classes such as \\p{L}."
)
_SIZES: Final = (8 * 1024, 64 * 1024, 256 * 1024, MAX_PATTERN_BYTES)
_COUNTED: Final = re.compile(r"\{(\d+)(?:,(\d*))?\}")


@lru_cache(maxsize=1024)
def pattern_problem(pattern: str) -> str | None:
    """Why `pattern` cannot be used, as a sentence; None if it can."""
    if len(pattern) > MAX_PATTERN_LENGTH:
        return f"A pattern has at most {MAX_PATTERN_LENGTH} characters."
    if pattern_states(pattern) > MAX_PATTERN_STATES:
        return (
            f"With its repetitions written out the pattern has over {MAX_PATTERN_STATES} places, and each costs a "
            "step for every character of a text. Bound the length with `minLength` and `maxLength` instead."
        )
    if pattern_bytes(pattern) is None:
        return (
            "The pattern is no regular expression that can be matched in linear time "
            "(no look-around, no back-references), or it takes too much memory: repeat a large class such as \\p{L} "
            "without a bound, and bound the length with `maxLength` instead."
        )
    return None


@lru_cache(maxsize=1024)
def pattern_bytes(pattern: str) -> int | None:
    """About how much memory the compiled pattern takes; None if it cannot be compiled within the limit."""
    for size in _SIZES:
        options = jsonschema_rs.RegexOptions(size_limit=size, dfa_size_limit=size)
        try:
            jsonschema_rs.Draft202012Validator({"pattern": pattern}, pattern_options=options, offline=True)
        except (ValueError, jsonschema_rs.ValidationError):
            continue
        return size
    return None


@lru_cache(maxsize=1024)
def pattern_states(pattern: str) -> int:
    """Steps that matching may take for one character of a text: the places of the pattern, repetitions written out."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return max(1, _states(parser.parse(pattern)))
    except (re.error, RecursionError, OverflowError, ValueError):
        return _states_by_sight(pattern)


def _states(parsed: Any) -> int:
    total = 0
    for operator, argument in parsed:
        if operator in (constants.MAX_REPEAT, constants.MIN_REPEAT):
            low, high, inner = argument
            total += (int(low) + 1 if high is constants.MAXREPEAT else max(int(high), 1)) * _states(inner)
        elif operator is constants.SUBPATTERN:
            total += _states(argument[3])
        elif operator is constants.BRANCH:
            total += sum(_states(branch) for branch in argument[1])
        else:
            total += 1
    return total


def _states_by_sight(pattern: str) -> int:
    """The same for what Python's parser does not read, such as `\\p{L}`: every repetition counts for the whole."""
    repeated = 1
    for low, high in _COUNTED.findall(pattern):
        repeated *= max(int(high or low), 1)
    return len(pattern) * repeated


@lru_cache(maxsize=256)
def _matcher(pattern: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        {"pattern": pattern}, pattern_options=PATTERN_OPTIONS, offline=True
    )


@lru_cache(maxsize=16_384)
def pattern_matches(pattern: str, text: str) -> bool:
    """Whether `pattern` is found in `text` (unanchored, as JSON Schema has it).

    Only for patterns that `pattern_problem` has nothing against.
    """
    return _matcher(pattern).is_valid(text)
