"""Whatever is sent: a 4xx with a code, and nothing half written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from accounts.models import AuditEvent
from schemas.models import Schema, SchemaVersion
from tests.schemas.conftest import FIELDS
from tests.support.client import SignedClient


def nested(levels: int) -> dict[str, Any]:
    field: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        field = {"type": "array", "items": field}
    return {"name": "deep", **field}


BODIES: list[tuple[str, Any, int, str]] = [
    (
        "10,000 fields",
        {"name": "x", "fields": [{"name": f"f{i}", "type": "string"} for i in range(10_000)]},
        422,
        "",
    ),
    ("too deep for JSON", {"name": "x", "fields": [nested(500)]}, 400, "MALFORMED_JSON"),
    ("an unknown type", {"name": "x", "fields": [{"name": "a", "type": "text"}]}, 422, "SCHEMA_INVALID"),
    ("a name twice", {"name": "x", "fields": [*FIELDS, FIELDS[0]]}, 422, "SCHEMA_INVALID"),
    (
        "a constraint that does not fit",
        {"name": "x", "fields": [{"name": "a", "type": "boolean", "minimum": 1}]},
        422,
        "",
    ),
    ("fields that are no list", {"name": "x", "fields": {"a": "string"}}, 422, "SCHEMA_INVALID"),
    ("fields that are text", {"name": "x", "fields": "id"}, 422, "SCHEMA_INVALID"),
    ("a field that is null", {"name": "x", "fields": [None]}, 422, "SCHEMA_INVALID"),
    ("no fields at all", {"name": "x"}, 422, "VALIDATION_FAILED"),
    ("two documents", {"name": "x", "fields": FIELDS, "content": {}}, 422, "VALIDATION_FAILED"),
    ("content without a format", {"name": "x", "content": {}}, 422, "VALIDATION_FAILED"),
    ("an unknown format", {"name": "x", "content": {}, "format": "xml"}, 422, "VALIDATION_FAILED"),
    (
        "a JSON Schema that is none",
        {"name": "x", "format": "jsonschema", "content": {"type": 5}},
        422,
        "SCHEMA_INVALID",
    ),
    (
        "a remote reference",
        {"name": "x", "format": "jsonschema", "content": {"$ref": "http://e.com/"}},
        422,
        "",
    ),
    ("null as a JSON Schema", {"name": "x", "format": "jsonschema", "content": None}, 422, ""),
    (
        "an Avro schema that is none",
        {"name": "x", "format": "avro", "content": {"type": "R"}},
        422,
        "SCHEMA_INVALID",
    ),
    (
        "a control character in a field",
        {"name": "x", "fields": [{"name": "a\x00b", "type": "string"}]},
        422,
        "",
    ),
    ("a control character in the name", {"name": "x\x01", "fields": FIELDS}, 422, "VALIDATION_FAILED"),
    (
        "a control character in the description",
        {"name": "x", "description": "\x00", "fields": FIELDS},
        422,
        "",
    ),
    ("a number as a name", {"name": 7, "fields": FIELDS}, 422, "VALIDATION_FAILED"),
    ("a name with a slash", {"name": "a/b", "fields": FIELDS}, 422, "VALIDATION_FAILED"),
    ("a name of 101 characters", {"name": "a" * 101, "fields": FIELDS}, 422, "VALIDATION_FAILED"),
    ("an empty name", {"name": "", "fields": FIELDS}, 422, "VALIDATION_FAILED"),
    ("a version with blanks", {"name": "x", "fields": FIELDS, "version": "1 0"}, 422, "VALIDATION_FAILED"),
    ("a number as a version", {"name": "x", "fields": FIELDS, "version": 1.0}, 422, "VALIDATION_FAILED"),
    (
        "an unknown mode",
        {"name": "x", "fields": FIELDS, "compatibility": "SOMETIMES"},
        422,
        "VALIDATION_FAILED",
    ),
    ("an unknown member", {"name": "x", "fields": FIELDS, "filds": []}, 422, "VALIDATION_FAILED"),
    ("a list", [1, 2], 422, "VALIDATION_FAILED"),
    ("null", "null", 422, ""),
]


@pytest.mark.parametrize(
    ("body", "status", "code"), [case[1:] for case in BODIES], ids=[case[0] for case in BODIES]
)
def test_bad_input_is_refused_and_nothing_is_written(
    owner: SignedClient, body: Any, status: int, code: str
) -> None:
    events = AuditEvent.objects.count()
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    answer = owner.call("POST", "/api/v1/schemas", content=content)
    assert answer.status_code == status, answer.content
    error = answer.json()["error"]
    assert error["code"] == code or not code
    assert error["message"]
    if error["code"] == "SCHEMA_INVALID":
        assert all(problem["message"] for problem in error["details"]["problems"])
    assert (Schema.objects.count(), SchemaVersion.objects.count(), AuditEvent.objects.count()) == (
        0,
        0,
        events,
    )


@pytest.mark.parametrize(
    "path",
    [
        "/schemas/..%2f..",
        "/schemas/a%0a",
        "/schemas/a/versions/1/receipt",
        "/schemas/%F0%9F%A6%84",
    ],
)
def test_paths_that_name_nothing_are_not_found(owner: SignedClient, path: str) -> None:
    answer = owner.call("GET", f"/api/v1{path}")
    assert answer.status_code == 404, answer.content
    assert answer.json()["error"]["code"] in ("SCHEMA_NOT_FOUND", "NOT_FOUND")


@pytest.mark.parametrize(
    "query",
    ["limit=-1&state=odd", "format=xml", "ordering=id", f"q={'a' * 101}", "owner=%00", "q=%00"],
)
def test_filters_that_make_no_sense_are_refused(owner: SignedClient, query: str) -> None:
    answer = owner.call("GET", f"/api/v1/schemas?{query}")
    assert 400 <= answer.status_code < 500, answer.content
    assert answer.json()["error"]["code"]
