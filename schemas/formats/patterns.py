"""Regular expressions in schemas: only those that match in linear time.

Patterns are matched by the `regex` engine of Rust through `jsonschema_rs` (finite automata: no
backtracking, so no catastrophic patterns). What that engine cannot do, such as look-around and
back-references, is refused when the schema is registered; so are patterns whose automaton would
take too much memory.
"""

from functools import lru_cache

import jsonschema_rs

from schemas.formats.limits import MAX_PATTERN_BYTES, MAX_PATTERN_LENGTH

PATTERN_OPTIONS = jsonschema_rs.RegexOptions(size_limit=MAX_PATTERN_BYTES, dfa_size_limit=MAX_PATTERN_BYTES)


@lru_cache(maxsize=1024)
def pattern_problem(pattern: str) -> str | None:
    """Why `pattern` cannot be used, as a sentence; None if it can."""
    if len(pattern) > MAX_PATTERN_LENGTH:
        return f"A pattern has at most {MAX_PATTERN_LENGTH} characters."
    try:
        jsonschema_rs.Draft202012Validator(
            {"pattern": pattern}, pattern_options=PATTERN_OPTIONS, offline=True
        )
    except (ValueError, jsonschema_rs.ValidationError):
        return (
            "The pattern is no regular expression that can be matched in linear time "
            "(no look-around, no back-references, bounded repetition)."
        )
    return None


@lru_cache(maxsize=1024)
def _matcher(pattern: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        {"pattern": pattern}, pattern_options=PATTERN_OPTIONS, offline=True
    )


def pattern_matches(pattern: str, text: str) -> bool:
    """Whether `pattern` is found in `text` (unanchored, as JSON Schema has it).

    Only for patterns that `pattern_problem` has nothing against.
    """
    return _matcher(pattern).is_valid(text)
