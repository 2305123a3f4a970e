"""Creating, reading and deleting schemas over signed HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from datafold_sdk import verify_receipt

from accounts.models import AuditEvent
from schemas.models import Schema, SchemaVersion
from tests.schemas.conftest import FIELDS, WITH_NOTE
from tests.support.client import SignedClient, WireClient

Make = Callable[..., Any]


def test_a_schema_is_created_as_the_client_application_sends_it(owner: SignedClient) -> None:
    sent = {
        "name": "user_events",
        "fields": [
            {"name": "id", "type": "uuid", "required": True, "description": None},
            {"name": "note", "type": "string", "required": False, "description": "Free text"},
        ],
        "version": "1.0.0",
        "description": None,
    }
    answer = owner.call("POST", "/api/schemas", sent)
    assert answer.status_code == 201, answer.content
    body = answer.json()
    assert body["meta"]["action"] == "schema_created"
    assert body["meta"]["created_by"] == "owner"
    data = body["data"]
    assert data["name"] == "user_events"
    assert data["fields"] == [
        {"name": "id", "type": "uuid", "required": True},
        {"name": "note", "type": "string", "required": False, "description": "Free text"},
    ]
    assert (data["version"], data["number"], data["format"], data["state"]) == (
        "1.0.0",
        1,
        "fields",
        "available",
    )
    assert data["owner"] == "owner"
    assert data["created_at"]
    assert data["updated_at"]
    assert len(data["fingerprint"]) == 64


def test_it_is_listed_read_deleted_and_gone(owner: SignedClient, make: Make) -> None:
    make("events")
    for path in ("/api/schemas", "/api/v1/schemas", "/api/v1/schemas/"):
        listed = owner.call("GET", path).json()
        assert [schema["name"] for schema in listed["data"]] == ["events"]
        assert listed["meta"]["count"] == 1
    assert owner.call("GET", "/api/v1/schemas/events").json()["data"]["fields"][0]["name"] == "id"

    deleted = owner.call("DELETE", "/api/v1/schemas/events")
    assert deleted.status_code == 200
    assert deleted.json()["meta"]["deleted_by"] == "owner"
    assert "deleted" in deleted.json()["data"]["message"]
    gone = owner.call("GET", "/api/v1/schemas/events")
    assert gone.status_code == 404
    assert gone.json()["error"]["code"] == "SCHEMA_NOT_FOUND"
    assert owner.call("GET", "/api/v1/schemas").json()["data"] == []
    assert owner.call("DELETE", "/api/v1/schemas/events").status_code == 404


def test_a_deleted_name_stays_its_owners_and_numbers_go_on(
    owner: SignedClient, stranger: SignedClient, make: Make
) -> None:
    make("events")
    owner.call("DELETE", "/api/v1/schemas/events")
    taken = stranger.call("POST", "/api/v1/schemas", {"name": "events", "fields": FIELDS})
    assert taken.status_code == 409
    assert taken.json()["error"]["code"] == "SCHEMA_EXISTS"
    again = make("events")
    assert (again["number"], again["version"]) == (2, "1.0.0")
    assert owner.call("GET", "/api/v1/schemas/events/versions/1").status_code == 404
    numbers = [
        version["number"] for version in owner.call("GET", "/api/v1/schemas/events/versions").json()["data"]
    ]
    assert numbers == [2]


def test_a_name_is_taken_once(owner: SignedClient, stranger: SignedClient, make: Make) -> None:
    make("events")
    for caller in (owner, stranger):
        answer = caller.call("POST", "/api/v1/schemas", {"name": "events", "fields": FIELDS})
        assert answer.status_code == 409
        assert answer.json()["error"]["code"] == "SCHEMA_EXISTS"


def test_versions_are_added_listed_and_read(owner: SignedClient, make: Make) -> None:
    make("events")
    added = owner.call("POST", "/api/v1/schemas/events/versions", {"fields": WITH_NOTE, "version": "1.1.0"})
    assert added.status_code == 201, added.content
    assert added.json()["meta"]["action"] == "schema_version_added"
    assert added.json()["data"]["number"] == 2
    listed = owner.call("GET", "/api/v1/schemas/events/versions").json()
    assert [(row["number"], row["version"]) for row in listed["data"]] == [(2, "1.1.0"), (1, "1.0.0")]
    first = owner.call("GET", "/api/v1/schemas/events/versions/1").json()["data"]
    assert [field["name"] for field in first["content"]] == ["id", "at"]
    assert first["created_by"] == "owner"
    assert owner.call("GET", "/api/v1/schemas/events").json()["data"]["number"] == 2
    for number in (0, 3, 2**80):
        assert owner.call("GET", f"/api/v1/schemas/events/versions/{number}").status_code == 404


def test_the_same_content_again_writes_nothing(owner: SignedClient, make: Make) -> None:
    make("events")
    events = AuditEvent.objects.count()
    spelled_otherwise = [{"type": "uuid", "required": True, "name": "id"}, {"name": "at", "type": "datetime"}]
    again = owner.call(
        "POST", "/api/v1/schemas/events/versions", {"fields": spelled_otherwise, "version": "9"}
    )
    assert again.status_code == 200
    assert again.json()["meta"]["action"] == "schema_unchanged"
    assert again.json()["data"]["number"] == 1
    assert SchemaVersion.objects.count() == 1
    assert AuditEvent.objects.count() == events


def test_an_avro_default_makes_another_version_though_the_fingerprint_is_the_same(
    owner: SignedClient, make: Make
) -> None:
    record: dict[str, Any] = {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}]}
    make("events", format="avro", content=record)
    record["fields"][0]["default"] = 0
    added = owner.call("POST", "/api/v1/schemas/events/versions", {"format": "avro", "content": record})
    assert added.status_code == 201, added.content
    assert added.json()["data"]["number"] == 2


def test_a_version_string_is_taken_once(owner: SignedClient, make: Make) -> None:
    make("events", version="1.0.0")
    answer = owner.call("POST", "/api/v1/schemas/events/versions", {"fields": WITH_NOTE, "version": "1.0.0"})
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "SCHEMA_EXISTS"


def test_an_incompatible_version_is_refused_with_the_whole_report(owner: SignedClient, make: Make) -> None:
    make("events")
    stricter = [*FIELDS, {"name": "must", "type": "string", "required": True}]
    answer = owner.call("POST", "/api/v1/schemas/events/versions", {"fields": stricter})
    assert answer.status_code == 409
    error = answer.json()["error"]
    assert error["code"] == "SCHEMA_INCOMPATIBLE"
    assert error["details"]["compatible"] is False
    assert error["details"]["checked_against"] == [1]
    difference = next(entry for entry in error["details"]["differences"] if entry["breaking"])
    assert difference["version"] == 1
    assert "must" not in difference["counterexample"]
    assert SchemaVersion.objects.count() == 1


def test_the_receipt_verifies_with_the_sdk(owner: SignedClient, make: Make) -> None:
    make("events")
    owner.call("POST", "/api/v1/schemas/events/versions", {"fields": WITH_NOTE})
    for number in (1, 2):
        receipt = owner.call("GET", f"/api/v1/schemas/events/versions/{number}/receipt").json()["data"]
        result = verify_receipt(receipt)
        assert result.valid, result.failures
        assert receipt["version"] == number
    receipt["content"].append({"name": "smuggled", "type": "string", "required": False})
    assert {check.name for check in verify_receipt(receipt).failures} == {"content", "fingerprint"}


@pytest.mark.parametrize("number", [1, 2, 3])
def test_receipts_hold_for_the_other_formats(owner: SignedClient, make: Make, number: int) -> None:
    make("a", format="jsonschema", content={"type": "object", "properties": {"b": {}, "a": {"const": 1.50}}})
    make(
        "b", format="avro", content={"type": "record", "name": "R", "fields": [{"name": "x", "type": "long"}]}
    )
    make("c", fields=[{"name": "o", "type": "object", "fields": [{"name": "i", "type": "integer"}]}])
    receipt = owner.call("GET", f"/api/v1/schemas/{'abc'[number - 1]}/versions/1/receipt").json()["data"]
    assert verify_receipt(receipt).valid, verify_receipt(receipt).failures


def test_content_comes_back_in_the_order_in_which_it_was_written(owner: SignedClient, make: Make) -> None:
    content = {"type": "object", "properties": {"zz": {"type": "string"}, "a": {"type": "string"}}}
    make("ordered", format="jsonschema", content=content)
    read = owner.call("GET", "/api/v1/schemas/ordered/versions/1").json()["data"]["content"]
    assert list(read["properties"]) == ["zz", "a"]


def test_without_a_signature_nothing_is_read_or_written(client: WireClient, make: Make) -> None:
    make("events")
    for answer in (
        client.get("/api/v1/schemas"),
        client.get("/api/v1/schemas/events"),
        client.get("/api/v1/schemas/events/versions/1"),
        client.post("/api/v1/schemas", {"name": "x", "fields": FIELDS}, content_type="application/json"),
        client.delete("/api/v1/schemas/events"),
    ):
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "SIGNATURE_MISSING"


def test_reading_is_open_where_the_settings_say_so(client: WireClient, make: Make, settings: Any) -> None:
    settings.DATAFOLD_REQUIRE_AUTH = False
    make("events")
    assert client.get("/api/v1/schemas/events").json()["data"]["name"] == "events"
    assert client.delete("/api/v1/schemas/events").status_code == 401


def test_development_without_authentication_has_no_author(
    client: WireClient, db: None, settings: Any
) -> None:
    settings.DATAFOLD_ENABLE_AUTH = False
    created = client.post(
        "/api/v1/schemas", {"name": "dev", "fields": FIELDS}, content_type="application/json"
    )
    assert created.status_code == 201, created.content
    assert created.json()["meta"]["created_by"] is None
    assert client.get("/api/v1/schemas/dev/versions/1/receipt").json()["data"] is None
    assert client.delete("/api/v1/schemas/dev").status_code == 200


def test_scopes_are_needed(db: None) -> None:
    from tests.support.registered import register_active

    reader = SignedClient(register_active("reader", scopes=["schemas:read"]))
    assert reader.call("GET", "/api/v1/schemas").status_code == 200
    answer = reader.call("POST", "/api/v1/schemas", {"name": "x", "fields": FIELDS})
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "SCOPE_MISSING"


def test_every_write_leaves_its_audit_event(owner: SignedClient, make: Make) -> None:
    make("events")
    owner.call("POST", "/api/v1/schemas/events/versions", {"fields": WITH_NOTE})
    owner.call("DELETE", "/api/v1/schemas/events")
    events = AuditEvent.objects.filter(target_kind="schema").order_by("id")
    assert [event.action for event in events] == ["schema.created", "schema.version_added", "schema.deleted"]
    assert {event.actor_id for event in events} == {"owner"}
    assert all(event.actor_key for event in events)


def test_a_version_cannot_be_changed_even_past_the_code(make: Make) -> None:
    from django.db import DatabaseError, transaction

    make("events")
    changes: list[dict[str, Any]] = [{"content": []}, {"digest": "0"}, {"generation": 7}, {"receipt": None}]
    for change in changes:
        with pytest.raises(DatabaseError), transaction.atomic():
            SchemaVersion.objects.update(**change)
    assert Schema.objects.get().latest_number == 1
