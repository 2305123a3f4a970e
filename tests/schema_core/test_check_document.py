"""Checking schema documents: every problem, with its pointer; nothing raises."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from schemas.formats import FORMATS, canonical, check_document, fingerprint, limits, references
from tests.schema_core.strategies import anything, field_documents
from tests.support.examples import examples


def found(format: str, content: Any) -> list[tuple[str, str]]:  # noqa: A002
    return [(problem.code, problem.pointer) for problem in check_document(format, content)]


def test_a_sound_fields_document_has_no_problems() -> None:
    content = [
        {"name": "id", "type": "uuid", "required": True},
        {"name": "amount", "type": "decimal", "precision": 12, "scale": 2, "minimum": 0, "default": 1.25},
        {"name": "kind", "type": "enum", "values": ["a", 1], "nullable": True, "default": None},
        {
            "name": "tags",
            "type": "array",
            "items": {"type": "string", "pattern": "^[a-z]+$"},
            "unique_items": True,
        },
        {"name": "at", "type": "object", "fields": [{"name": "day", "type": "date"}], "additional": True},
    ]
    assert found("fields", content) == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({}, ("FIELDS_NOT_A_LIST", "")),
        ([5], ("FIELD_NOT_AN_OBJECT", "/0")),
        ([{"type": "string"}], ("NAME_MISSING", "/0")),
        ([{"name": "a\n", "type": "string"}], ("NAME_INVALID", "/0/name")),
        ([{"name": "a"}], ("TYPE_MISSING", "/0")),
        ([{"name": "a", "type": "text"}], ("TYPE_UNKNOWN", "/0/type")),
        ([{"name": "a", "type": ["string"]}], ("TYPE_UNKNOWN", "/0/type")),
        ([{"name": "a", "type": "string"}] * 2, ("NAME_DUPLICATE", "/1/name")),
        ([{"name": "a", "type": "boolean", "min_length": 1}], ("CONSTRAINT_DOES_NOT_FIT", "/0/min_length")),
        ([{"name": "a", "type": "string", "colour": 1}], ("KEY_UNKNOWN", "/0/colour")),
        ([{"name": "a", "type": "string", "required": 1}], ("REQUIRED_NOT_BOOLEAN", "/0/required")),
        ([{"name": "a", "type": "string", "min_length": -1}], ("CONSTRAINT_INVALID", "/0/min_length")),
        (
            [{"name": "a", "type": "string", "min_length": 2, "max_length": 1}],
            ("CONSTRAINTS_CONTRADICT", "/0/min_length"),
        ),
        (
            [{"name": "a", "type": "number", "minimum": 2, "maximum": 1}],
            ("CONSTRAINTS_CONTRADICT", "/0/minimum"),
        ),
        ([{"name": "a", "type": "number", "multiple_of": 0}], ("CONSTRAINT_INVALID", "/0/multiple_of")),
        (
            [{"name": "a", "type": "decimal", "precision": 2, "scale": 3}],
            ("CONSTRAINTS_CONTRADICT", "/0/scale"),
        ),
        ([{"name": "a", "type": "string", "pattern": "(?=a)"}], ("PATTERN_REFUSED", "/0/pattern")),
        (
            [{"name": "a", "type": "string", "pattern": "(a{1,1000}){1,1000}"}],
            ("PATTERN_REFUSED", "/0/pattern"),
        ),
        ([{"name": "a", "type": "string", "format": "colour"}], ("FORMAT_UNKNOWN", "/0/format")),
        ([{"name": "a", "type": "enum"}], ("VALUES_MISSING", "/0")),
        ([{"name": "a", "type": "enum", "values": ["x", "x"]}], ("ENUM_VALUE_DUPLICATE", "/0/values/1")),
        ([{"name": "a", "type": "array"}], ("ITEMS_MISSING", "/0")),
        ([{"name": "a", "type": "array", "items": {"type": "x"}}], ("TYPE_UNKNOWN", "/0/items/type")),
        ([{"name": "a", "type": "object"}], ("FIELDS_MISSING", "/0")),
        ([{"name": "a", "type": "object", "fields": [{"name": "b"}]}], ("TYPE_MISSING", "/0/fields/0")),
        (
            [{"name": "a", "type": "integer", "minimum": 1, "default": 0}],
            ("DEFAULT_NOT_ADMITTED", "/0/default"),
        ),
        ([{"name": "a", "type": "number", "minimum": float("nan")}], ("NUMBER_NOT_FINITE", "/0/minimum")),
        ([{"name": "a", "type": "number", "minimum": 2**60}], ("NUMBER_NOT_INTEROPERABLE", "/0/minimum")),
        (
            [{"name": "a", "type": "string", "description": "\ud800"}],
            ("STRING_NOT_UNICODE", "/0/description"),
        ),
        ([{"name": str(n), "type": "string"} for n in range(10_000)], ("TOO_MANY_FIELDS", "")),
    ],
)
def test_a_problem_of_a_fields_document_is_named_where_it_stands(
    content: Any, problem: tuple[str, str]
) -> None:
    assert found("fields", content) == [problem]


def test_all_problems_are_listed_up_to_a_limit() -> None:
    assert len(found("fields", [{"name": "a", "type": "x"}, {"name": "b", "type": "y"}])) == 2
    assert len(found("fields", [{}] * 1_000)) == limits.MAX_PROBLEMS


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (5, ("SCHEMA_NOT_AN_OBJECT", "")),
        ({"type": "text"}, ("KEYWORD_INVALID", "/type")),
        ({"properties": {"a": {"minLength": -1}}}, ("KEYWORD_INVALID", "/properties/a/minLength")),
        ({"$schema": "http://json-schema.org/draft-04/schema#"}, ("DIALECT_UNSUPPORTED", "/$schema")),
        ({"pattern": "(?=a)"}, ("PATTERN_REFUSED", "/pattern")),
        ({"$ref": "https://example.com/s.json"}, ("REFERENCE_REMOTE", "/$ref")),
        ({"$ref": "file:///etc/passwd"}, ("REFERENCE_REMOTE", "/$ref")),
        ({"$ref": "datafold:orders"}, ("REFERENCE_MALFORMED", "/$ref")),
        ({"$ref": "#/$defs/none"}, ("REFERENCE_UNRESOLVED", "/$ref")),
        ({"allOf": [{"$ref": "#"}]}, ("REFERENCE_LOOP", "")),
        ({"enum": list(range(5_001))}, ("TOO_MANY_ENUM_VALUES", "/enum")),
        ({"properties": {str(n): {} for n in range(2_001)}}, ("TOO_MANY_FIELDS", "/properties")),
        ({"required": [str(n) for n in range(10_001)]}, ("TOO_MANY_FIELDS", "")),
        ({"dependentRequired": {"a": [str(n) for n in range(10_001)]}}, ("TOO_MANY_FIELDS", "")),
        ({"pattern": "([a-z]{1,90}-){1,90}"}, ("PATTERN_REFUSED", "/pattern")),
        ({"pattern": "(\\p{L}{90}){90}"}, ("PATTERN_REFUSED", "/pattern")),
    ],
)
def test_a_problem_of_a_json_schema_is_named_where_it_stands(content: Any, problem: tuple[str, str]) -> None:
    assert found("jsonschema", content) == [problem]


def test_patterns_that_take_too_much_memory_together_are_refused() -> None:
    patterns = [f"\\p{{L}}{{10}}{number}" for number in range(34)]
    as_fields = [
        {"name": f"f{number}", "type": "string", "pattern": pattern}
        for number, pattern in enumerate(patterns)
    ]
    as_json_schema = {"properties": {pattern: {"pattern": pattern} for pattern in patterns}}
    assert [code for code, _ in found("fields", as_fields)] == ["PATTERN_REFUSED"]
    assert [code for code, _ in found("jsonschema", as_json_schema)] == ["PATTERN_REFUSED"]
    assert found("fields", as_fields[:20]) == []


def test_references_that_unfold_beyond_measure_are_refused() -> None:
    levels = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(25)}
    content = {"$ref": "#/$defs/d0", "$defs": levels | {"d25": {"type": "string"}}}
    assert found("jsonschema", content) == [("SCHEMA_TOO_COMPLEX", "")]


@pytest.mark.parametrize(
    "content", [True, {"$ref": "datafold:orders/1.0.0"}, {"items": [{"type": "string"}]}]
)
def test_sound_json_schemas_of_both_dialects_have_no_problems(content: Any) -> None:
    assert found("jsonschema", content) == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (5, ("TYPE_INVALID", "")),
        ("text", ("TYPE_UNKNOWN", "")),
        ({"type": "record", "name": "R"}, ("FIELDS_MISSING", "")),
        ({"type": "record", "name": "1", "fields": []}, ("NAME_INVALID", "")),
        (
            {"type": "record", "name": "R", "fields": [{"name": "a", "type": "B"}]},
            ("TYPE_UNKNOWN", "/fields/0/type"),
        ),
        (
            {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int", "default": "x"}]},
            ("DEFAULT_NOT_ADMITTED", "/fields/0/default"),
        ),
        (["int", "int"], ("UNION_DUPLICATE", "/1")),
        (["int", ["null"]], ("UNION_NESTED", "/1")),
        ({"type": "enum", "name": "E", "symbols": ["A", "A"]}, ("SYMBOL_DUPLICATE", "/symbols/1")),
        ({"type": "enum", "name": "E", "symbols": ["a b"]}, ("SYMBOL_INVALID", "/symbols/0")),
        ({"type": "fixed", "name": "F", "size": -1}, ("SIZE_INVALID", "")),
        ({"type": "fixed", "name": "F", "size": 2**31}, ("SIZE_INVALID", "")),
        ({"type": "array"}, ("ITEMS_MISSING", "")),
        ({"type": "int", "logicalType": "decimal"}, ("LOGICAL_TYPE_INVALID", "/logicalType")),
    ],
)
def test_a_problem_of_an_avro_schema_is_named_where_it_stands(content: Any, problem: tuple[str, str]) -> None:
    assert found("avro", content) == [problem]


@pytest.mark.parametrize("format", FORMATS)
def test_a_document_nested_a_hundred_thousand_deep_is_refused(format: str) -> None:  # noqa: A002
    content: Any = []
    for _ in range(100_000):
        content = {"items": content}
    assert [code for code, _ in found(format, content)] == ["DOCUMENT_TOO_DEEP"]


@given(anything)
@settings(max_examples=examples(75), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_json_value_makes_the_check_raise(content: Any) -> None:
    for format in (*FORMATS, "xml"):  # noqa: A001
        assert isinstance(check_document(format, content), list)
    assert references(content) == references(content)


@given(field_documents())
@settings(max_examples=examples(25), deadline=None)
def test_the_order_of_keys_changes_no_fingerprint(content: list[dict[str, Any]]) -> None:
    assert check_document("fields", content) == []
    reordered = [dict(reversed(definition.items())) for definition in content]
    assert fingerprint("fields", reordered) == fingerprint("fields", content)


def test_the_parsing_canonical_form_is_the_specifications() -> None:
    content = {
        "type": "record",
        "name": "R",
        "namespace": "x.y",
        "doc": "left out",
        "fields": [
            {"name": "a", "type": {"type": "int"}, "default": 1},
            {"name": "next", "type": ["null", "R"]},
            {"type": {"type": "fixed", "size": 16, "name": "md5"}, "name": "f", "aliases": ["g"]},
        ],
    }
    assert canonical("avro", content) == (
        b'{"name":"x.y.R","type":"record","fields":[{"name":"a","type":"int"},{"name":"next","type":["null","x.y.R"]},'
        b'{"name":"f","type":{"name":"x.y.md5","type":"fixed","size":16}}]}'
    )


def test_references_to_registered_schemas_are_found() -> None:
    content = {"allOf": [{"$ref": "datafold:a/1.0.0"}, {"$ref": "datafold:b/2#/$defs/x"}, {"$ref": "#/x"}]}
    assert references(content) == {("a", "1.0.0"), ("b", "2")}
