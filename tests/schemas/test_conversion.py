"""A version read in another format, with what it lost on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from schemas.formats import check_document
from tests.support.client import SignedClient

Make = Callable[..., Any]
VERSION = "/api/v1/schemas/events/versions/1"
FIELDS: list[dict[str, Any]] = [
    {"name": "id", "type": "uuid", "required": True, "description": "Who"},
    {"name": "n", "type": "integer", "minimum": 0, "nullable": True},
    {"name": "kind", "type": "enum", "values": ["a", "b"]},
]


@pytest.mark.parametrize("target", ["fields", "jsonschema", "avro", "typescript", "python"])
def test_a_version_is_read_in_every_format(owner: SignedClient, make: Make, target: str) -> None:
    make("events", fields=FIELDS)
    data = owner.call("GET", f"{VERSION}?format={target}").json()["data"]
    assert (data["format"], data["converted_from"]) == (target, "fields")
    if target in ("fields", "jsonschema", "avro"):
        assert check_document(target, data["content"]) == []
    else:
        assert "kind" in data["content"]


def test_what_does_not_survive_is_listed(owner: SignedClient, make: Make) -> None:
    make("events", fields=FIELDS)
    losses = owner.call("GET", f"{VERSION}?format=avro").json()["data"]["losses"]
    assert any("minimum" in loss["pointer"] + loss["message"] for loss in losses)
    assert all(loss["message"] for loss in losses)


@pytest.mark.parametrize("target", ["cobol", "fields"])
def test_what_cannot_be_written_is_refused(owner: SignedClient, make: Make, target: str) -> None:
    make("events", format="jsonschema", content={"type": "string"})
    refused = owner.call("GET", f"{VERSION}?format={target}")
    assert refused.status_code == 422
    assert refused.json()["error"]["code"] == "CONVERSION_IMPOSSIBLE"


def test_references_that_multiply_are_refused(owner: SignedClient, make: Make) -> None:
    def twice(number: int) -> dict[str, Any]:
        below = {"$ref": f"#/$defs/d{number + 1}"}
        return {"type": "object", "properties": {"a": below, "b": below}}

    content = {**twice(0), "$defs": {f"d{n}": twice(n) for n in range(1, 20)} | {"d20": {"type": "string"}}}
    make("events", format="jsonschema", content=content)
    make("itself", format="jsonschema", content={"type": "object", "properties": {"next": {"$ref": "#"}}})
    for name in ("events", "itself"):
        refused = owner.call("GET", f"/api/v1/schemas/{name}/versions/1?format=fields")
        assert refused.json()["error"]["code"] == "CONVERSION_IMPOSSIBLE"


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("typescript", ['home"?: Address;', "interface Address", '"city"?: City;', "type City = string;"]),
        ("python", ["NotRequired[Address]", "Address = TypedDict", "City: TypeAlias = 'str'"]),
        ("avro", ["'name': 'Address'", "'name': 'city', 'type': ['null', 'string']"]),
        ("fields", ["'name': 'home', 'type': 'object'", "'name': 'city', 'type': 'string'"]),
    ],
)
def test_what_a_version_refers_to_is_converted_with_it(
    owner: SignedClient, make: Make, target: str, words: list[str]
) -> None:
    city = {"type": "string", "maxLength": 80}
    address = {
        "type": "object",
        "properties": {"city": {"$ref": "#/$defs/City"}, "old": {"$ref": "#"}, "more": {"$ref": "#city"}},
        "additionalProperties": False,
        "$defs": {"City": {**city, "$anchor": "city"}},
    }
    if target == "fields":
        del address["properties"]["old"]  # type: ignore[attr-defined]
    make("address", format="jsonschema", content=address)
    person = {
        "properties": {
            "home": {"$ref": "datafold:address/1"},
            "c": {"$ref": "datafold:address/1#/$defs/City"},
            "d": {"$ref": "datafold:address/1#city"},
        }
    }
    make("events", format="jsonschema", content={"type": "object", "additionalProperties": False, **person})
    data = owner.call("GET", f"{VERSION}?format={target}").json()["data"]
    for word in words:
        assert word in str(data["content"]), data
    assert not [loss for loss in data["losses"] if "$ref" in loss["pointer"]]


@pytest.mark.parametrize("target", ["typescript", "python", "avro", "fields"])
def test_nothing_is_lost_in_silence(owner: SignedClient, make: Make, target: str) -> None:
    properties = {
        "pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]},
        "union": {
            "properties": {"x": {"type": "string"}},
            "anyOf": [{"required": ["x"]}, {"required": ["y"]}],
        },
        "all": {
            "allOf": [{"properties": {"x": {"type": "string"}}}, {"properties": {"y": {"type": "string"}}}]
        },
        "map": {"properties": {"x": {"type": "string"}}, "additionalProperties": {"type": "integer"}},
    }
    make("events", format="jsonschema", content={"type": "object", "properties": properties})
    data = owner.call("GET", f"{VERSION}?format={target}").json()["data"]
    lost = {loss["pointer"].split("/")[2] for loss in data["losses"] if loss["pointer"].count("/") >= 2}
    kept = {"all"} if target == "typescript" else set()
    assert lost | kept >= properties.keys(), data
    if target == "typescript":
        assert "DocumentAll1 & DocumentAll2" in data["content"]
