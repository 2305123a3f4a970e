"""What is incompatible is shown by a document, also where one is not found at the first bound."""

from typing import Any

import pytest

from schemas.compatibility import check
from schemas.formats.validator import validator_for

UNIQUE_IDS = {"type": "array", "items": {"format": "uuid"}, "minItems": 2, "uniqueItems": True}
NEEDS_A = {"dependentSchemas": {"x": {"required": ["a"], "properties": {"a": {"minimum": 10}}}}}
CODE = {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{4}$"}

PAIRS: dict[str, tuple[Any, Any]] = {
    "beside a required number from ten on": (
        {"properties": {"n": {"type": "number", "minimum": 10}}, "required": ["n"]},
        {"properties": {"n": {"minimum": 10}, "x": {"type": "string"}}},
    ),
    "beside two different uuids": (
        {"properties": {"ids": UNIQUE_IDS}, "required": ["ids"]},
        {"properties": {"ids": UNIQUE_IDS, "x": False}},
    ),
    "beside a short address": (
        {"properties": {"ip": {"format": "ipv6", "maxLength": 3}}, "required": ["ip"]},
        {"properties": {"x": False}},
    ),
    "between two multiples": (
        {"type": "number", "minimum": 10},
        {"type": "number", "minimum": 10, "multipleOf": 0.01},
    ),
    "a dependency more": ({"dependentRequired": {"x": ["a"]}}, {"dependentRequired": {"x": ["a", "b"]}}),
    "a dependent schema": (
        NEEDS_A,
        {"dependentSchemas": {"x": {"required": ["a"], "properties": {"a": {"minimum": 20}}}}},
    ),
    "names up to y": ({"propertyNames": {"pattern": "^[a-z]+$"}}, {"propertyNames": {"pattern": "^[a-y]+$"}}),
    "more of another kind": (
        {"contains": {"type": "string", "maxLength": 5}, "maxContains": 3},
        {"contains": {"type": "string"}, "maxContains": 3},
    ),
    "contains something closed": (
        {"contains": {"type": "object"}, "minItems": 2},
        {"contains": {"type": "object", "additionalProperties": False}, "minItems": 2},
    ),
    "below something unevaluated": (
        {"properties": {"o": {"type": "object"}}, "anyOf": [{}], "unevaluatedProperties": False},
        {
            "properties": {"o": {"type": "object", "properties": {"x": {"maxLength": 3}}}},
            "anyOf": [{}],
            "unevaluatedProperties": False,
        },
    ),
    "a pattern": ({"items": CODE}, {"items": CODE | {"pattern": "^[A-Z]{3}-[0-9]{5}$"}}),
}


@pytest.mark.parametrize(("old", "new"), PAIRS.values(), ids=PAIRS.keys())
def test_a_document_shows_it(old: Any, new: Any) -> None:
    report = check("jsonschema", old, new, "BACKWARD")
    assert (report.compatible, report.witness) == (False, "verified")
    shown = [difference.counterexample for difference in report.differences if difference.counterexample]
    assert shown
    assert len(shown) == len(report.differences) or "unevaluatedProperties" in new
    for counterexample in shown:
        assert validator_for("jsonschema", old).is_valid(counterexample.document)
        assert not validator_for("jsonschema", new).is_valid(counterexample.document)


def test_each_difference_has_the_least_document_that_shows_it() -> None:
    home = {"type": "object", "properties": {"street": {"type": "string"}}, "required": ["street"]}
    old = {"properties": {"name": {"type": "string"}}, "required": ["name", "home"]}
    new = old | {"properties": {"name": {"type": "string"}, "home": home}}
    shown = {
        (difference.code, difference.new_pointer): difference.counterexample
        for difference in check("jsonschema", old | {"type": "object"}, new, "BACKWARD").differences
    }
    assert {key: witness.document for key, witness in shown.items() if witness} == {
        ("TYPE_NARROWED", "/properties/home/type"): {"name": "a", "home": 0},
        ("PROPERTY_REQUIRED", "/properties/home/required"): {"name": "a", "home": {}},
        ("TYPE_NARROWED", "/properties/home/properties/street/type"): {"name": "a", "home": {"street": 0}},
    }
