"""One version in other formats: what is written is sound, means the same, and says what it lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, get_type_hints

import pytest

from schemas.conversion import TARGETS, ConversionError, convert
from schemas.formats import check_document
from schemas.formats.validator import validator_for
from tests.support.client import SignedClient

RICH: list[dict[str, Any]] = [
    {"name": "id", "type": "uuid", "required": True, "description": "Who"},
    {"name": "at", "type": "datetime", "required": True},
    {"name": "day", "type": "date"},
    {"name": "n", "type": "integer", "minimum": 0, "nullable": True},
    {"name": "price", "type": "decimal", "precision": 12, "scale": 2},
    {"name": "blob", "type": "bytes"},
    {"name": "kind", "type": "enum", "values": ["a", "b"]},
    {"name": "level", "type": "enum", "values": [1, 2]},
    {"name": "tags", "type": "array", "items": {"type": "string", "max_length": 5}},
    {
        "name": "who",
        "type": "object",
        "required": True,
        "fields": [{"name": "mail", "type": "string", "format": "email"}],
    },
    {"name": "odd name", "type": "boolean"},
]


def test_fields_become_a_sound_avro_schema() -> None:
    converted = convert("user-events", "fields", RICH, "avro")
    assert check_document("avro", converted.content) == []
    assert converted.content["name"] == "UserEvents"
    by_name = {field["name"]: field for field in converted.content["fields"]}
    assert by_name["id"]["type"] == {"type": "string", "logicalType": "uuid"}
    assert by_name["n"]["type"] == ["null", "long"]
    assert by_name["price"]["type"][1]["precision"] == 12
    lost = {loss.pointer for loss in converted.losses}
    assert {"/3/minimum", "/7/values", "/8/items/max_length", "/9/fields/0/format", "/10/name"} <= lost


def test_avro_comes_back_as_fields() -> None:
    avro = convert("x", "fields", RICH, "avro").content
    fields = convert("x", "avro", avro, "fields").content
    assert [(field["name"], field["type"]) for field in fields] == [
        (field["name"].replace(" ", "_"), "integer" if field["name"] == "level" else field["type"])
        for field in RICH
    ]
    assert check_document("jsonschema", convert("x", "avro", avro, "jsonschema").content) == []


def test_fields_and_json_schema_say_the_same_both_ways() -> None:
    schema = convert("x", "fields", RICH, "jsonschema")
    assert schema.losses == []
    back = convert("x", "jsonschema", schema.content, "fields").content
    document = {
        "id": "0b7c5e0a-6b0e-4c5e-9c57-0d2f6f3f9f01",
        "at": "2026-01-01T00:00:00Z",
        "n": None,
        "kind": "a",
        "level": 2,
        "tags": ["x"],
        "who": {"mail": "a@b.example"},
    }
    for format_, content in (("fields", RICH), ("jsonschema", schema.content), ("fields", back)):
        validator = validator_for(format_, content)
        assert validator.problems(document) == []
        assert not validator.is_valid({**document, "level": 3})
        assert not validator.is_valid({**document, "who": {"mail": 1}})


def test_what_json_schema_says_beyond_fields_is_listed() -> None:
    content = {
        "$defs": {"name": {"type": "string", "minLength": 1}},
        "type": "object",
        "required": ["a"],
        "properties": {
            "a": {"$ref": "#/$defs/name"},
            "b": {"type": ["string", "integer"]},
            "c": {"type": "string", "format": "iri"},
            "d": {"$ref": "datafold:other/1"},
            "e": True,
            "f": {"type": "array", "items": {"type": "number"}, "contains": {"const": 1}},
            "g": {"type": "string", "default": 7},
        },
        "patternProperties": {"^x": {}},
        "minProperties": 1,
    }
    converted = convert("x", "jsonschema", content, "fields")
    assert [field["name"] for field in converted.content] == ["a", "c", "f", "g"]
    assert converted.content[0] == {"name": "a", "required": True, "type": "string", "min_length": 1}
    lost = {loss.pointer for loss in converted.losses}
    assert lost >= {
        "",
        "/minProperties",
        "/patternProperties",
        "/properties/b",
        "/properties/c/format",
        "/properties/d/$ref",
        "/properties/e",
        "/properties/f/contains",
        "/properties/g/default",
    }


def run(module: str, namespace: dict[str, Any]) -> None:
    exec(compile(module, "converted.py", "exec", dont_inherit=True), namespace)


def test_python_is_python() -> None:
    converted = convert("user-events", "fields", RICH[:-1], "python")
    namespace: dict[str, Any] = {}
    run(converted.content, namespace)
    hints = get_type_hints(namespace["UserEvents"])
    assert hints["id"] is str
    assert hints["who"] is namespace["UserEventsWho"]
    assert namespace["UserEvents"].__required_keys__ == {"id", "at", "who"}
    odd = [{"name": name, "type": "integer"} for name in ("class", "a b", '"""', "__x", "ﬁ")]
    run(convert("1", "fields", odd, "python").content, namespace)
    assert namespace["T1"].__optional_keys__ == {"class", "a b", '"""', "__x", "ﬁ"}


def test_typescript_reads_as_an_interface() -> None:
    hostile = [{"name": 'a"b', "type": "string", "description": "*/ alert(1) /*\nx"}]
    text = convert("x", "fields", [*RICH[:4], *hostile], "typescript").content
    assert text.startswith("export interface X {\n  /** Who */\n  id: string;\n")
    assert "  n?: number | null;\n" in text
    assert '  /** * / alert(1) /* x */\n  "a\\"b"?: string;\n' in text


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("format_", "content"),
    [
        ("jsonschema", {"type": "string"}),
        ("jsonschema", True),
        ("avro", "string"),
        ("avro", ["null", "string"]),
        ("jsonschema", {"$ref": "datafold:a/1"}),
    ],
)
def test_what_is_no_record_cannot_be_converted(format_: str, content: Any, target: str) -> None:
    if format_ == target:
        assert convert("x", format_, content, target).content == content
        return
    with pytest.raises(ConversionError):
        convert("x", format_, content, target)


def test_references_that_multiply_are_refused() -> None:
    def twice(number: int) -> dict[str, Any]:
        below = {"$ref": f"#/$defs/d{number + 1}"}
        return {"type": "object", "properties": {"a": below, "b": below}}

    content = {**twice(0), "$defs": {f"d{n}": twice(n) for n in range(1, 20)} | {"d20": {"type": "string"}}}
    with pytest.raises(ConversionError, match="too large"):
        convert("x", "jsonschema", content, "fields")
    recursive = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    with pytest.raises(ConversionError, match="too large"):
        convert("x", "jsonschema", recursive, "avro")


def test_a_recursive_avro_record_loses_its_recursion() -> None:
    content = {
        "type": "record",
        "name": "N",
        "fields": [{"name": "v", "type": "int"}, {"name": "next", "type": ["null", "N"], "default": None}],
    }
    converted = convert("x", "avro", content, "fields")
    assert [field["name"] for field in converted.content] == ["v"]
    assert "cannot contain itself" in converted.losses[0].message


@pytest.mark.parametrize("target", TARGETS)
def test_a_version_is_read_in_every_format(
    owner: SignedClient, make: Callable[..., Any], target: str
) -> None:
    make("events", fields=RICH)
    data = owner.call("GET", f"/api/v1/schemas/events/versions/1?format={target}").json()["data"]
    assert data["format"] == target
    assert data["converted_from"] == "fields"
    assert json.dumps(data["losses"])
    refused = owner.call("GET", "/api/v1/schemas/events/versions/1?format=cobol")
    assert refused.status_code == 422
    assert refused.json()["error"]["code"] == "CONVERSION_IMPOSSIBLE"
