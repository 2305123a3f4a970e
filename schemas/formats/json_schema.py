"""The `jsonschema` format: JSON Schema 2020-12 and draft 7.

Beyond the meta-schema of its dialect a document must be usable without a network and in bounded
time: a `$ref` stays inside the document or names a registered schema (`datafold:NAME/VERSION`),
references make progress, patterns match in linear time.

`format` is asserted in both dialects, as draft 7 has it and 2020-12 allows (its section 7.2.1): a
registry that ignored it would call compatible what a reader then refuses.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import jsonschema_rs

from schemas.formats.json_schema_compile import compiled_json_schema
from schemas.formats.json_schema_size import in_place_size
from schemas.formats.json_schema_walk import (
    DRAFT_7,
    DRAFT_2020_12,
    REFERENCES,
    anchors_of,
    dialect_of,
    every_subschema,
    resolve_local,
)
from schemas.formats.limits import (
    MAX_ENUM_VALUES,
    MAX_FIELDS,
    MAX_NEEDED,
    MAX_PATTERNS_BYTES,
    MAX_REFERENCES,
    MAX_UNFOLDED,
)
from schemas.formats.patterns import TOO_MANY_PATTERNS, pattern_bytes, pattern_problem
from schemas.formats.problems import FormatError, ProblemList, shown, step
from schemas.formats.references import SCHEME, parse_reference, references

DIALECTS: Final = (DRAFT_2020_12, DRAFT_7)


def check_json_schema(content: Any, problems: ProblemList) -> None:
    """Adds every problem of the JSON Schema `content`, already known to be sound JSON."""
    if not isinstance(content, dict | bool):
        problems.add(
            "SCHEMA_NOT_AN_OBJECT", "", f"A JSON Schema is an object or a boolean, not {shown(content)}."
        )
        return
    dialect = dialect_of(content)
    if dialect not in DIALECTS:
        message = f"The dialect {shown(dialect)} is not supported; write {DRAFT_2020_12} or {DRAFT_7}#."
        problems.add("DIALECT_UNSUPPORTED", "/$schema", message)
        return
    _check_meta_schema(content, dialect, problems)
    _check_sizes(content, problems)
    _check_patterns(content, problems)
    _check_references(content, problems)
    if not len(problems):
        _check_progress(content, problems)
    if not len(problems):
        _check_compiles(content, problems)


@lru_cache(maxsize=4)
def _meta_validator(dialect: str) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for({"$schema": dialect, "$ref": dialect}, offline=True)


def _check_meta_schema(content: Any, dialect: str, problems: ProblemList) -> None:
    seen: set[tuple[str, str]] = set()
    for error in _meta_validator(dialect).iter_errors(content):
        pointer = step("", *error.instance_path)
        if error.kind.name == "format" or (pointer, error.kind.name) in seen:
            continue
        seen.add((pointer, error.kind.name))
        problems.add("KEYWORD_INVALID", pointer, error.message[:300])


def _check_sizes(content: Any, problems: ProblemList) -> None:
    properties = needed = 0
    for pointer, schema in every_subschema(content):
        if not isinstance(schema, dict):
            continue
        if pointer and isinstance(schema.get("$schema"), str) and schema["$schema"] != content.get("$schema"):
            message = "All of a document is written in one dialect: leave this `$schema` out."
            problems.add("DIALECT_MIXED", step(pointer, "$schema"), message)
        if isinstance(schema.get("enum"), list) and len(schema["enum"]) > MAX_ENUM_VALUES:
            message = f"An enum has at most {MAX_ENUM_VALUES} values."
            problems.add("TOO_MANY_ENUM_VALUES", step(pointer, "enum"), message)
        needed += _names_needed(schema)
        if needed > MAX_NEEDED:
            message = (
                f"A schema demands at most {MAX_NEEDED} properties, all its lists of `required` together."
            )
            problems.add("TOO_MANY_FIELDS", pointer, message)
            return
        if isinstance(schema.get("properties"), dict):
            properties += len(schema["properties"])
            if properties > MAX_FIELDS:
                message = f"A schema defines at most {MAX_FIELDS} properties."
                problems.add("TOO_MANY_FIELDS", step(pointer, "properties"), message)
                return


def _names_needed(schema: dict[str, Any]) -> int:
    """How many names `required` and the lists of dependencies hold."""
    needed = len(schema["required"]) if isinstance(schema.get("required"), list) else 0
    for keyword in ("dependentRequired", "dependencies"):
        if isinstance(schema.get(keyword), dict):
            needed += sum(len(listed) for listed in schema[keyword].values() if isinstance(listed, list))
    return needed


def _check_patterns(content: Any, problems: ProblemList) -> None:
    size = 0
    for pointer, pattern in _patterns(content):
        if reason := pattern_problem(pattern):
            problems.add("PATTERN_REFUSED", pointer, reason)
            continue
        size += pattern_bytes(pattern) or 0
        if size > MAX_PATTERNS_BYTES:
            problems.add("PATTERN_REFUSED", pointer, TOO_MANY_PATTERNS)
            return


def _patterns(content: Any) -> Iterator[tuple[str, str]]:
    """(pointer, pattern) for every regular expression."""
    for pointer, schema in every_subschema(content):
        if not isinstance(schema, dict):
            continue
        if isinstance(schema.get("pattern"), str):
            yield step(pointer, "pattern"), schema["pattern"]
        if isinstance(schema.get("patternProperties"), dict):
            for pattern in schema["patternProperties"]:
                yield step(pointer, "patternProperties", pattern), pattern


def _check_references(content: Any, problems: ProblemList) -> None:
    if len(references(content)) > MAX_REFERENCES:
        problems.add("TOO_MANY_REFERENCES", "", f"A schema refers to at most {MAX_REFERENCES} others.")
    anchors = anchors_of(content)
    for pointer, schema in every_subschema(content):
        if not isinstance(schema, dict):
            continue
        for keyword in REFERENCES:
            if isinstance(schema.get(keyword), str):
                _check_reference(content, schema[keyword], anchors, step(pointer, keyword), problems)
        if pointer and isinstance(schema.get("$id"), str) and not schema["$id"].startswith("#"):
            message = "Only the whole document has an `$id`; name its parts with `$anchor` or by their path."
            problems.add("NESTED_ID", step(pointer, "$id"), message)


def _check_reference(
    content: Any, reference: str, anchors: dict[str, Any], pointer: str, problems: ProblemList
) -> None:
    if reference.startswith(SCHEME):
        if parse_reference(reference) is None:
            message = f"A reference to a registered schema is datafold:NAME/VERSION, not {shown(reference)}."
            problems.add("REFERENCE_MALFORMED", pointer, message)
        return
    if not reference.startswith("#"):
        message = (
            f"{shown(reference)} lies outside: refer to #/… in this document or to datafold:NAME/VERSION."
        )
        problems.add("REFERENCE_REMOTE", pointer, message)
        return
    try:
        target = resolve_local(content, reference, anchors)
    except LookupError:
        problems.add("REFERENCE_UNRESOLVED", pointer, f"Nothing in this document is at {shown(reference)}.")
        return
    if not isinstance(target, dict | bool):
        problems.add("REFERENCE_UNRESOLVED", pointer, f"What is at {shown(reference)} is no schema.")


def _check_progress(content: Any, problems: ProblemList) -> None:
    """No schema may come back to itself on the same value, nor unfold beyond measure there."""
    try:
        unfolded = in_place_size(content)
    except RecursionError:
        problems.add("REFERENCE_LOOP", "", "References in here lead back to where they stand, without end.")
        return
    if unfolded > MAX_UNFOLDED:
        message = f"References and alternatives unfold to more than {MAX_UNFOLDED} checks of a single value."
        problems.add("SCHEMA_TOO_COMPLEX", "", message)


def _leading_to_wholes(value: Any) -> Any:
    """A copy in which references to registered schemas lead to no part of them: these are not known here."""
    if isinstance(value, list):
        return [_leading_to_wholes(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    made = {key: _leading_to_wholes(entry) for key, entry in value.items()}
    if isinstance(value.get("$ref"), str) and parse_reference(value["$ref"]):
        made["$ref"] = value["$ref"].partition("#")[0]
    return made


def _check_compiles(content: Any, problems: ProblemList) -> None:
    """The last word: what the walk above cannot see, such as a `$ref` into an unknown keyword."""
    stand_ins = dict.fromkeys(references(content), True)
    try:
        compiled_json_schema(_leading_to_wholes(content) if stand_ins else content, stand_ins)
    except FormatError as error:
        problems.add("KEYWORD_INVALID", "", error.message)
