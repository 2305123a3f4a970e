"""Pairs that look compatible and are not: a document shows it, whatever way the proof was led astray."""

import time
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest

from schemas.compatibility import CompatibilityLimit, check, limits
from schemas.compatibility.json_schema import compare
from schemas.formats import check_document
from schemas.formats.json_schema_compile import Resources
from schemas.formats.validator import validator_for

DRAFT_2020_12 = "https://json-schema.org/draft/2020-12/schema"


class Trap(NamedTuple):
    """`document` is admitted by `old` and refused by `new`."""

    old: Any
    new: Any
    document: Any
    resources: Resources = {}


def _object(name: str, schema: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {name: schema}}


def _failing_beside_the_same_a_level_below() -> Trap:
    """What has just failed at p is met again a level deeper, at z/y, while the alternatives are tried."""
    needs = {"properties": {"p": {"properties": {"q": {"type": "integer"}}}}}
    properties = {"p": {"$ref": "#/$defs/A"}, "z": _object("y", {"$ref": "#/$defs/A"})}
    old = {
        "$defs": {"A": _object("q", {"type": ["integer", "string"]})},
        "type": "object",
        "properties": properties,
        "anyOf": [needs | {"required": ["p"]}, needs | {"minProperties": 1}],
    }
    new = {
        "$defs": {"A": _object("q", {"type": "integer"})},
        "anyOf": [{"type": "object", "properties": properties}, {"type": "null"}],
    }
    return Trap(old, new, {"z": {"y": {"q": "s"}}})


def _failing_beside_itself_a_level_below() -> Trap:
    def tree(leaf: Any) -> dict[str, Any]:
        below = {"left": {"$ref": "#/$defs/T"}, "deep": _object("right", {"$ref": "#/$defs/T"})}
        return {"type": "object", "properties": {"value": leaf, **below}}

    bounded = {"properties": {"left": {"properties": {"value": {"type": "integer"}}}}}
    old = {
        "$defs": {"T": tree({"type": ["integer", "string"]})},
        "$ref": "#/$defs/T",
        "properties": {"value": {"type": "integer"}},
        "oneOf": [
            bounded | {"required": ["left"]},
            bounded | {"properties": bounded["properties"] | {"left": False}},
        ],
    }
    new = {"$defs": {"T": tree({"type": "integer"})}, "anyOf": [{"$ref": "#/$defs/T"}, {"type": "null"}]}
    return Trap(old, new, {"deep": {"right": {"value": "s"}}})


def _named_by_the_document_around(leaf: str) -> dict[str, Any]:
    return {"$ref": "datafold:tree/1", "$defs": {"x": {"$dynamicAnchor": "node", "type": leaf}}}


TREE = {"$dynamicAnchor": "node", "type": "object", "properties": {"c": {"$dynamicRef": "#node"}}}
DEEP_TREE = {"$dynamicAnchor": "node", "properties": {"c": {"properties": {"d": {"$dynamicRef": "#node"}}}}}
OF_DRAFT_7 = {
    "dependencies": {"q": ["r"]},
    "definitions": {"x": {"type": "string"}},
    "properties": {"a": {"$ref": "#/definitions/x", "maxLength": 3}},
}
INNER = {"properties": {"p": {"properties": {"z": {"$ref": "#/$defs/B"}}}}}

TRAPS: dict[str, Trap] = {
    "a failed comparison is no assumption": _failing_beside_the_same_a_level_below(),
    "a failed comparison of a tree is no assumption": _failing_beside_itself_a_level_below(),
    "the same words, another $dynamicAnchor around": Trap(
        _named_by_the_document_around("string"),
        _named_by_the_document_around("integer"),
        {"c": "s"},
        {("tree", "1"): TREE},
    ),
    "a constant, checked apart from the $dynamicAnchor around": Trap(
        {"properties": {"c": {"properties": {"d": {"const": "s"}}}}},
        _named_by_the_document_around("integer"),
        {"c": {"d": "s"}},
        {("tree", "1"): DEEP_TREE},
    ),
    "the same words in another document": Trap(
        INNER | {"$defs": {"B": {"type": "string"}}},
        {"$ref": "datafold:x/1"},
        {"p": {"z": "s"}},
        {("x", "1"): INNER | {"$defs": {"B": {"type": "integer"}}}},
    ),
}


@pytest.mark.parametrize("trap", TRAPS.values(), ids=TRAPS.keys())
def test_it_is_incompatible(trap: Trap) -> None:
    for schema in (trap.old, trap.new, *trap.resources.values()):
        assert check_document("jsonschema", schema) == []
    validators = [validator_for("jsonschema", s, resources=trap.resources) for s in (trap.old, trap.new)]
    assert [validator.is_valid(trap.document) for validator in validators] == [True, False]
    assert not _verdict(trap.old, trap.new, trap.resources)


def _verdict(old: Any, new: Any, resources: Resources) -> bool:
    return check(
        "jsonschema", old, new, "BACKWARD", old_resources=resources, new_resources=resources
    ).compatible


def test_a_registered_schema_of_draft_7_means_the_same_when_it_is_referred_to() -> None:
    referring = {"$schema": DRAFT_2020_12, "$ref": "datafold:s/1"}
    resources = {("s", "1"): OF_DRAFT_7}
    same = {
        "$schema": DRAFT_2020_12,
        "properties": {"a": {"type": "string"}},
        "dependentRequired": {"q": ["r"]},
    }
    for schema, known in ((OF_DRAFT_7, None), (referring, resources)):
        assert validator_for("jsonschema", schema, resources=known).is_valid({"a": "abcd"})
        assert not validator_for("jsonschema", schema, resources=known).is_valid({"q": 1})
    assert _verdict(same, referring, resources)
    assert _verdict(referring, same, resources)


def test_what_is_the_same_in_both_versions_of_a_registered_schema_needs_no_proof() -> None:
    opaque = {
        "type": "object",
        "anyOf": [{"properties": {"p": {"$ref": "#/$defs/B"}}}],
        "unevaluatedProperties": False,
    }
    first = {"properties": {"a": opaque}, "$defs": {"B": {"type": "string"}}}
    second = first | {"description": "the same"}
    resources = {("s", "1"): first, ("s", "2"): second}
    assert _verdict({"$ref": "datafold:s/1"}, {"$ref": "datafold:s/2"}, resources)
    assert not _verdict(first, second | {"$defs": {"B": {"type": "integer"}}}, {})


@pytest.mark.parametrize("name", ["größe", "a b", "100%", "a/b", "~", '"', "^", "{}", "|", "#", "%41", "\\"])
def test_an_enumeration_is_widened_whatever_its_property_is_called(name: str) -> None:
    old, new = ({"properties": {name: {"enum": values}}} for values in (["a"], ["a", "c"]))
    assert check("jsonschema", old, new, "BACKWARD").compatible
    assert check("jsonschema", old, new, "FORWARD").witness == "verified"
    reference = "#/$defs/" + quote(name.replace("~", "~0").replace("/", "~1"), safe="")
    referred = [{"$ref": reference, "$defs": {name: {"properties": {"x": schema}}}} for schema in (old, new)]
    assert check("jsonschema", referred[0], referred[1], "BACKWARD").compatible


def test_a_difference_behind_an_anchor_is_pointed_at() -> None:
    old, new = ({"$ref": "#name", "$defs": {"n": {"$anchor": "name", "maxLength": n}}} for n in (5, 4))
    [difference] = check("jsonschema", old, new, "BACKWARD").differences
    assert (difference.old_pointer, difference.new_pointer) == ("", "/$defs/n/maxLength")


# what a verdict may cost


def _chain(length: int) -> Any:
    """Each level asks twice about the next."""
    levels: dict[str, Any] = {f"d{length}": {"type": "string"}}
    for index in range(length):
        following = {"next": {"$ref": f"#/$defs/d{index + 1}"}}
        branches = [{"properties": following | {"t": True}}, {"properties": following, "required": ["t"]}]
        levels[f"d{index}"] = {"type": "object", "anyOf": branches}
    return {"$ref": "#/$defs/d0", "$defs": levels}


def _nested(depth: int) -> Any:
    value: Any = {}
    for _ in range(depth):
        value = {"next": value}
    return value


def test_a_constant_that_would_take_a_validator_for_ever_is_not_tried() -> None:
    old, new = {"const": _nested(58)}, _chain(58)
    assert check_document("jsonschema", old) == check_document("jsonschema", new) == []
    with pytest.raises(CompatibilityLimit):
        check("jsonschema", old, new, "BACKWARD")
    assert not check("jsonschema", {"const": _nested(8)}, _chain(8), "BACKWARD").compatible


def test_alternatives_that_lead_back_are_compiled_once() -> None:
    def widened(more: list[str]) -> Any:
        alternatives = [{"$ref": "#"}, {"type": ["string", "integer"]}]
        properties = {f"p{n}": {"enum": ["a", n, *more], "anyOf": alternatives} for n in range(400)}
        return {"type": "object", "properties": properties}

    begun = time.process_time()
    assert check("jsonschema", widened([]), widened(["b"]), "BACKWARD").compatible
    assert time.process_time() - begun < 3


def test_one_enumeration_in_many_places_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    def everywhere(values: list[str]) -> Any:
        properties = {f"p{n}": {"$ref": "#/$defs/E"} for n in range(30)}
        return {"$defs": {"E": {"enum": values}}, "properties": properties}

    values = [f"v{n}" for n in range(400)]
    assert check("jsonschema", everywhere(values), everywhere([*values, "z"]), "BACKWARD").compatible
    monkeypatch.setattr(compare, "MAX_NATIVE_WORK", limits.MAX_NATIVE_WORK // 100)
    with pytest.raises(CompatibilityLimit):
        check("jsonschema", everywhere(values), everywhere([*values, "z"]), "BACKWARD")


def test_large_avro_unions_are_compared_by_name() -> None:
    union = [{"type": "fixed", "name": f"F{n}", "size": 4} for n in range(1_500)]
    begun = time.process_time()
    assert check("avro", union, ["null", *union], "BACKWARD").compatible
    assert time.process_time() - begun < 1
    crowded = [{"type": "fixed", "name": f"n{n}.F", "size": 4} for n in range(1_500)]
    with pytest.raises(CompatibilityLimit):
        check("avro", crowded, ["null", *crowded], "BACKWARD")
