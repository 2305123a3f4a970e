"""Conversions and the validation of data."""

import re
import time
from typing import Any

import pytest

from schemas.formats import FormatError, check_document
from schemas.formats.convert import TARGETS, convert
from schemas.formats.validator import validator_for

CONTENT: list[dict[str, Any]] = [
    {"name": "id", "type": "uuid", "required": True, "description": 'a */ """ b'},
    {"name": "amount", "type": "number", "minimum": 0},
    {"name": "tags", "type": "array", "items": {"type": "enum", "values": ["A", "B"]}, "nullable": True},
    {
        "name": "at",
        "type": "object",
        "fields": [{"name": "x y", "type": "integer"}, {"name": "b", "type": "bytes"}],
    },
]


def test_fields_survive_the_way_to_json_schema_and_back() -> None:
    there = convert("fields", CONTENT, "jsonschema")
    back = convert("jsonschema", there.content, "fields")
    assert (back.content, there.lost, back.lost) == (CONTENT, [], [])


@pytest.mark.parametrize("target", ["jsonschema", "avro", "fields"])
def test_a_converted_schema_is_sound(target: str) -> None:
    assert check_document(target, convert("fields", CONTENT, target).content) == []


def test_what_is_lost_is_listed() -> None:
    lost = convert("fields", CONTENT, "avro").lost
    assert "/properties/amount/minimum" in [loss.pointer for loss in lost]


def test_the_python_module_runs_and_the_typescript_escapes_its_texts() -> None:
    namespace: dict[str, Any] = {}
    exec(convert("fields", CONTENT, "python").content, namespace)
    assert namespace["Document"].__required_keys__ == {"id"} or "id" in namespace["Document"].__annotations__
    written = convert("fields", CONTENT, "typescript").content
    assert '"x y"?: number;' in written
    assert written.count("*/") == 1


def test_a_name_cannot_break_out_of_generated_code() -> None:
    hostile = [
        {"name": '"; process.exit() //', "type": "string"},
        {"name": "'}); import os #", "type": "string"},
    ]
    namespace: dict[str, Any] = {}
    exec(convert("fields", hostile, "python").content, namespace)
    assert set(namespace["Document"].__annotations__) == {entry["name"] for entry in hostile}
    assert '"\\"; process.exit() //"?: string;' in convert("fields", hostile, "typescript").content


def test_the_pattern_of_bytes_is_one_that_other_engines_read() -> None:
    schema = convert("avro", {"type": "fixed", "name": "F", "size": 2}, "jsonschema").content
    pattern = schema["$defs"]["F"]["pattern"]
    assert re.fullmatch(pattern, "\u00ff\n\u0000")
    assert not re.fullmatch(pattern, "\u0100")
    validator = validator_for("jsonschema", schema)
    assert [validator.is_valid(text) for text in ("\u00ff\u0000", "\u00ff\u0100")] == [True, False]


def test_what_cannot_be_converted_is_refused() -> None:
    with pytest.raises(FormatError) as refused:
        convert("jsonschema", {"type": "array"}, "fields")
    assert refused.value.code == "CONVERSION_IMPOSSIBLE"
    with pytest.raises(FormatError) as refused:
        convert("fields", [], "xml")
    assert refused.value.code == "CONVERSION_UNKNOWN"


def doubling(levels: int) -> dict[str, Any]:
    """An object whose references multiply from level to level."""

    def twice(number: int) -> dict[str, Any]:
        below = {"$ref": f"#/$defs/d{number + 1}"}
        return {"type": "object", "properties": {"a": below, "b": below}}

    return {**twice(0), "$defs": {f"d{n}": twice(n) for n in range(1, levels)} | {f"d{levels}": {}}}


@pytest.mark.parametrize(
    "content",
    [
        doubling(22),
        {"type": "object", "properties": {"next": {"$ref": "#"}}},
        {"type": "object", "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}},
    ],
)
def test_references_that_cannot_be_written_out_as_fields_are_refused(content: Any) -> None:
    assert check_document("jsonschema", content) == []
    with pytest.raises(FormatError) as refused:
        convert("jsonschema", content, "fields")
    assert refused.value.code == "CONVERSION_IMPOSSIBLE"


def test_references_that_cannot_be_written_out_as_avro_are_refused() -> None:
    levels = {
        f"d{n}": {
            "anyOf": [
                {"type": "array", "items": {"$ref": f"#/$defs/d{n + 1}"}},
                {"type": "object", "additionalProperties": {"$ref": f"#/$defs/d{n + 1}"}},
            ]
        }
        for n in range(30)
    }
    content = {"$ref": "#/$defs/d0", "$defs": {**levels, "d30": {"type": "string"}}}
    assert check_document("jsonschema", content) == []
    with pytest.raises(FormatError) as refused:
        convert("jsonschema", content, "avro")
    assert refused.value.code == "CONVERSION_IMPOSSIBLE"


@pytest.mark.parametrize("target", [target for target in TARGETS if target != "fields"])
def test_a_recursive_schema_is_converted(target: str) -> None:
    content = {"type": "object", "properties": {"next": {"$ref": "#"}}, "additionalProperties": False}
    converted = convert("jsonschema", content, target)
    assert converted.lost == []
    assert check_document(target, converted.content) == [] or target in ("typescript", "python")


def test_every_problem_of_a_document_has_its_pointer() -> None:
    validator = validator_for("fields", CONTENT)
    assert validator.problems({"id": "6f1e2f0c-5f0a-4a57-8a3b-0d8a3c1f9b11", "tags": None}) == []
    found = {
        (p.code, p.pointer)
        for p in validator.problems({"amount": -1, "tags": ["C"], "at": {"b": "%"}, "z": 1})
    }
    assert found == {
        ("PROPERTY_MISSING", ""),
        ("PROPERTY_NOT_ALLOWED", ""),
        ("VALUE_NOT_ALLOWED", "/amount"),
        ("VALUE_NOT_LISTED", "/tags/0"),
        ("PATTERN_NOT_MATCHED", "/at/b"),
    }


def test_avro_documents_are_admitted_plain_and_tagged() -> None:
    record = {
        "type": "record",
        "name": "R",
        "fields": [
            {"name": "a", "type": ["null", "bytes"]},
            {"name": "n", "type": ["null", "R"], "default": None},
        ],
    }
    validator = validator_for("avro", record)
    assert validator.problems({"a": None}) == []
    assert validator.problems({"a": {"bytes": "\u00ff"}, "n": {"R": {"a": "x"}}}) == []
    found = [(p.code, p.pointer) for p in validator.problems({"a": 5, "n": {"a": 1}, "z": 1})]
    assert found == [("TYPE_WRONG", "/a"), ("TYPE_WRONG", "/n/a"), ("PROPERTY_NOT_ALLOWED", "/z")]


@pytest.mark.parametrize("reference", ["http://127.0.0.1:9/x", "file:///etc/passwd"])
def test_a_reference_is_never_fetched(reference: str) -> None:
    with pytest.raises(FormatError) as refused:
        validator_for("jsonschema", {"$ref": reference})
    assert refused.value.code == "SCHEMA_INVALID"


def test_references_to_registered_schemas_are_resolved_from_what_is_given() -> None:
    content = {"properties": {"a": {"$ref": "datafold:x/1.0.0#/$defs/y"}}}
    resources = {("x", "1.0.0"): {"$defs": {"y": {"type": "string"}}}}
    validator = validator_for("jsonschema", content, resources=resources)
    assert [p.pointer for p in validator.problems({"a": 1})] == ["/a"]


def test_a_pattern_of_a_catastrophic_kind_is_matched_in_linear_time() -> None:
    validator = validator_for("fields", [{"name": "a", "type": "string", "pattern": "^(a+)+$"}])
    assert len(validator.problems({"a": "a" * 100_000 + "!"})) == 1


def chain(levels: int, end: Any, **others: Any) -> Any:
    document = end
    for _ in range(levels):
        document = {"c": document, **others}
    return document


NODE = {"$ref": "#/$defs/node"}
BOTH_WAYS = {
    **NODE,
    "$defs": {
        "node": {
            "anyOf": [
                {"type": "object", "properties": {"c": NODE}},
                {"type": "object", "properties": {"c": NODE, "d": {"type": "string"}}},
            ]
        }
    },
}
UNION = {
    "type": "record",
    "name": "Top",
    "fields": [
        {
            "name": "c",
            "type": [
                "null",
                {"type": "record", "name": "A", "fields": [{"name": "c", "type": ["null", "A", "Top"]}]},
                "Top",
            ],
        }
    ],
}


@pytest.mark.parametrize(("format", "content"), [("jsonschema", BOTH_WAYS), ("avro", UNION)])
def test_alternatives_that_multiply_with_depth_are_refused_and_not_waited_for(
    format: str,  # noqa: A002
    content: Any,
) -> None:
    assert check_document(format, content) == []
    validator = validator_for(format, content)
    assert validator.problems(chain(3, None if format == "avro" else {})) == []
    begun = time.monotonic()
    for levels in (10, 14, 19, 40, 400):
        assert not validator.is_valid(chain(levels, 7))
        assert validator.problems(chain(levels, 7))
    assert time.monotonic() - begun < 10
    assert [problem.code for problem in validator.problems(chain(400, 7))] == ["DOCUMENT_TOO_COMPLEX"]


def test_alternatives_told_apart_by_a_constant_are_checked_at_any_depth() -> None:
    """Syntax trees: every kind of node describes the same properties, and one constant says which it is."""
    kinds = [
        {
            "type": "object",
            "properties": {"kind": {"const": f"k{number}"}, "c": NODE},
            "required": ["kind"],
        }
        for number in range(10)
    ]
    validator = validator_for(
        "jsonschema", {**NODE, "$defs": {"node": {"oneOf": [*kinds, {"type": "number"}]}}}
    )
    assert validator.is_valid(chain(200, 1, kind="k9"))
    begun = time.monotonic()
    [problem] = validator.problems(chain(200, "no", kind="k9"))
    assert time.monotonic() - begun < 1
    assert "check parts of it" in problem.message
    assert validator.problems(chain(1, "no", kind="k9"))


def test_a_list_of_any_length_is_no_danger() -> None:
    validator = validator_for("jsonschema", {"type": "object", "properties": {"c": {"$ref": "#"}}})
    assert validator.is_valid(chain(400, {}))
    assert [problem.pointer for problem in validator.problems(chain(400, 7))] == ["/c" * 400]
