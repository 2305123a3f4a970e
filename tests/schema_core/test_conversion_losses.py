"""Nothing vanishes from a conversion in silence: what the target cannot say is listed with its place."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.formats import check_document
from schemas.formats.convert import convert

DRAFT_7 = "http://json-schema.org/draft-07/schema#"
BASE = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}


def lost(kind: str, content: Any, target: str) -> set[str]:
    assert check_document(kind, content) == []
    return {loss.pointer for loss in convert(kind, content, target).lost}


def test_what_stands_beside_a_reference_is_added_to_what_it_names() -> None:
    content = {
        "$ref": "#/$defs/base",
        "properties": {"extra": {"type": "integer"}},
        "required": ["extra"],
        "unevaluatedProperties": False,
        "$defs": {"base": BASE},
    }
    converted = convert("jsonschema", content, "fields")
    assert [(field["name"], field.get("required")) for field in converted.content] == [
        ("id", True),
        ("extra", True),
    ]
    assert "/unevaluatedProperties" in {loss.pointer for loss in converted.lost}


def test_what_is_said_on_both_sides_of_a_reference_is_listed() -> None:
    content = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/short", "maxLength": 9}},
        "additionalProperties": False,
        "$defs": {"short": {"type": "string", "maxLength": 3}},
    }
    assert lost("jsonschema", content, "fields") == {"/properties/a/maxLength"}
    closed = {"$ref": "#/$defs/base", "properties": {"b": {"type": "string"}}}
    closed["$defs"] = {"base": {**BASE, "additionalProperties": False}}  # which admits no b
    assert "/additionalProperties" in lost("jsonschema", closed, "fields")


@pytest.mark.parametrize("target", ["fields", "avro", "typescript", "python"])
def test_in_draft_7_nothing_beside_a_reference_counts(target: str) -> None:
    content = {
        "$schema": DRAFT_7,
        "type": "object",
        "properties": {"a": {"$ref": "#/definitions/s", "maxLength": 3, "anyOf": [{"type": "integer"}]}},
        "additionalProperties": False,
        "definitions": {"s": {"type": "string"}},
    }
    plain = {**content, "properties": {"a": {"$ref": "#/definitions/s"}}}
    converted = convert("jsonschema", content, target)
    assert converted.content == convert("jsonschema", plain, target).content
    assert [loss for loss in converted.lost if loss.pointer.startswith("/properties/a/")] == []


def test_a_bound_beside_null_and_another_is_listed() -> None:
    text = {"anyOf": [{"type": "null"}, {"type": "string", "maxLength": 10}], "maxLength": 5}
    content = {"type": "object", "properties": {"a": text}, "additionalProperties": False}
    assert lost("jsonschema", content, "fields") == {"/properties/a/maxLength"}


def test_to_avro() -> None:
    content = {
        "type": "object",
        "properties": {
            "a": {"type": "string", "default": "x", "description": "A name"},
            "b": {"type": "array", "items": {"type": "string", "description": "One"}},
        },
        "required": ["other"],
        "additionalProperties": False,
    }
    assert lost("jsonschema", content, "avro") == {
        "/properties/a/default",
        "/properties/b/items/description",
        "/required",
    }
    assert convert("jsonschema", content, "avro").content["fields"][0]["doc"] == "A name"


@pytest.mark.parametrize("target", ["typescript", "python"])
def test_to_code(target: str) -> None:
    content = {
        "$schema": DRAFT_7,
        "type": "object",
        "properties": {
            "a": {"type": "string", "default": "x"},
            "b": {"type": "array", "items": [{"type": "string"}]},
            "c": {"type": "object", "additionalProperties": False},
        },
    }
    expected = {"/properties/a/default", "/properties/b/items", "/properties/c/additionalProperties"}
    assert lost("jsonschema", content, target) >= expected


def test_from_avro() -> None:
    content = {
        "type": "record",
        "name": "R",
        "fields": [
            {"name": "n", "type": "long", "order": "descending", "doc": "How many"},
            {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["A"], "default": "A"}},
        ],
    }
    assert lost("avro", content, "jsonschema") == {"/fields/0", "/fields/0/type", "/fields/1/type"}
    made = convert("avro", content, "jsonschema").content["$defs"]["R"]["properties"]
    assert made["n"]["description"] == "How many"
