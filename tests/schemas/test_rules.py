"""Who may write, references, checks without writing, and what operators decide."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.audit import Actor
from accounts.models import AuditEvent, Client
from schemas import decisions
from schemas.errors import SchemaError, SchemaInvalid, SchemaReferenced, SchemaStateConflict
from schemas.models import Schema, SchemaVersion
from tests.schemas.conftest import FIELDS, WITH_NOTE
from tests.support.client import SignedClient
from tests.support.registered import register_active

Make = Callable[..., Any]
SYSTEM = Actor.system("tests")
VERSIONS = "/api/v1/schemas/events/versions"


def code(answer: Any) -> str:
    return str(answer.json()["error"]["code"])


# --- Who may write ---------------------------------------------------------------------------------


def test_only_the_owner_and_its_writers_write(
    owner: SignedClient, stranger: SignedClient, make: Make
) -> None:
    make("events")
    assert code(stranger.call("POST", VERSIONS, {"fields": WITH_NOTE})) == "SCHEMA_FORBIDDEN"
    assert code(stranger.call("DELETE", "/api/v1/schemas/events")) == "SCHEMA_FORBIDDEN"
    assert (
        code(stranger.call("PATCH", "/api/v1/schemas/events", {"writers": ["stranger"]}))
        == "SCHEMA_FORBIDDEN"
    )
    unknown = owner.call("PATCH", "/api/v1/schemas/events", {"writers": ["stranger", "nobody"]})
    assert code(unknown) == "SCHEMA_INVALID"
    changed = owner.call(
        "PATCH", "/api/v1/schemas/events", {"writers": ["stranger"], "description": "Shared"}
    )
    assert changed.json()["data"]["description"] == "Shared"
    assert stranger.call("POST", VERSIONS, {"fields": WITH_NOTE}).status_code == 201
    assert code(stranger.call("DELETE", "/api/v1/schemas/events")) == "SCHEMA_FORBIDDEN"
    event = AuditEvent.objects.get(action="schema.updated")
    assert event.after == {"description": "Shared", "writers": ["stranger"]}


def test_a_schema_may_take_strict_writers_only(owner: SignedClient, make: Make) -> None:
    make("events")
    owner.call("PATCH", "/api/v1/schemas/events", {"strict_writers_only": True, "writers": []})
    assert code(owner.call("POST", VERSIONS, {"fields": WITH_NOTE})) == "SCHEMA_FORBIDDEN"
    strict = SignedClient(register_active("careful", profile="strict"))
    Schema.objects.get().writers.add(Client.objects.get(client_id="careful"))
    signed = strict.call(
        "POST",
        VERSIONS,
        {"fields": WITH_NOTE},
        covered=("@method", "@target-uri", "@authority", "content-type", "content-digest"),
    )
    assert signed.status_code == 201, signed.content


# --- References ------------------------------------------------------------------------------------


def test_references_resolve_in_the_registry(owner: SignedClient, make: Make) -> None:
    make(
        "money",
        format="jsonschema",
        content={"type": "object", "required": ["amount"], "properties": {"amount": {"type": "number"}}},
    )
    make("customer", fields=[{"name": "mail", "type": "string", "required": True}])
    make(
        "order",
        format="jsonschema",
        content={
            "type": "object",
            "properties": {"price": {"$ref": "datafold:money/1"}, "who": {"$ref": "datafold:customer/1.0.0"}},
        },
    )
    make("basket", format="jsonschema", content={"type": "array", "items": {"$ref": "datafold:order/1"}})
    validate = "/api/v1/schemas/basket/versions/1/validate"
    sound = owner.call("POST", validate, {"document": [{"price": {"amount": 1}, "who": {"mail": "a"}}]})
    assert sound.json()["data"] == {"valid": True, "problems": []}
    broken = owner.call("POST", validate, {"document": [{"price": {}, "who": {"mail": 1}}]}).json()["data"]
    assert {problem["pointer"] for problem in broken["problems"]} == {"/0/price", "/0/who/mail"}
    referring = owner.call("GET", "/api/v1/schemas/money/referenced-by").json()["data"]
    assert referring == [{"name": "order", "number": 1, "version": "1.0.0"}]
    refused = owner.call("DELETE", "/api/v1/schemas/money")
    assert code(refused) == "SCHEMA_REFERENCED"
    assert refused.json()["error"]["details"]["referenced_by"] == ["order/1"]
    with pytest.raises(SchemaReferenced):
        decisions.erase(Schema.objects.get(name="money"), actor=SYSTEM, reason="no")
    for name in ("basket", "order", "money"):
        assert owner.call("DELETE", f"/api/v1/schemas/{name}").status_code == 200
    with pytest.raises(SchemaError):
        decisions.erase(
            Schema.objects.get(name="money"), actor=SYSTEM, reason="a deleted schema still refers"
        )


@pytest.mark.parametrize(
    "reference",
    [
        "datafold:nothing/1",
        "datafold:leaf/2",
        "datafold:leaf/9.9",
        "datafold:leaf/1#/$defs/nothing",
        "datafold:new/1",
        "datafold:avro/1",
    ],
)
def test_a_reference_to_what_is_not_there_is_refused(owner: SignedClient, make: Make, reference: str) -> None:
    make("leaf", format="jsonschema", content={"type": "string"})
    make("avro", format="avro", content="string")
    answer = owner.call(
        "POST", "/api/v1/schemas", {"name": "new", "format": "jsonschema", "content": {"$ref": reference}}
    )
    assert answer.status_code == 422
    assert code(answer) == "SCHEMA_INVALID"
    assert answer.json()["error"]["details"]["problems"][0]["code"] == "REFERENCE_UNRESOLVED"
    assert not Schema.objects.filter(name="new").exists()


def test_a_part_of_a_schema_is_referred_to(owner: SignedClient, make: Make) -> None:
    make("parts", format="jsonschema", content={"$defs": {"code": {"$anchor": "c", "maxLength": 2}}})
    for number, fragment in enumerate(("/$defs/code", "c")):
        name = f"user-{number}"
        make(name, format="jsonschema", content={"items": {"$ref": f"datafold:parts/1#{fragment}"}})
        sent = {"document": ["ab", "abc"]}
        answer = owner.call("POST", f"/api/v1/schemas/{name}/versions/1/validate", sent)
        assert [problem["pointer"] for problem in answer.json()["data"]["problems"]] == ["/1"]
        tried = {"format": "jsonschema", "content": {"items": {"maxLength": 1}}}
        report = owner.call("POST", f"/api/v1/schemas/{name}/compatibility", tried).json()["data"]
        assert (report["compatible"], report["witness"]) == (False, "verified")


def test_what_is_blocked_takes_no_new_references(owner: SignedClient, make: Make) -> None:
    make("leaf", format="jsonschema", content={"type": "string"})
    make("before", format="jsonschema", content={"$ref": "datafold:leaf/1"})
    decisions.block(Schema.objects.get(name="leaf"), actor=SYSTEM, reason="It is wrong.")
    body = {"name": "after", "format": "jsonschema", "content": {"$ref": "datafold:leaf/1"}}
    answer = owner.call("POST", "/api/v1/schemas", body)
    assert "blocked" in answer.json()["error"]["details"]["problems"][0]["message"]
    validated = owner.call("POST", "/api/v1/schemas/before/versions/1/validate", {"document": 7})
    assert validated.json()["data"]["valid"] is False


def test_chains_of_references_are_bounded(owner: SignedClient, make: Make) -> None:
    make("link-0", format="jsonschema", content={"type": "string"})
    for number in range(1, 20):
        content = {"$ref": f"datafold:link-{number - 1}/1"}
        answer = owner.call(
            "POST", "/api/v1/schemas", {"name": f"link-{number}", "format": "jsonschema", "content": content}
        )
        if answer.status_code != 201:
            break
    assert code(answer) == "SCHEMA_INVALID"
    assert answer.json()["error"]["details"]["problems"][0]["code"] == "REFERENCES_TOO_DEEP"
    assert 5 <= number <= 10


# --- Checks without writing ------------------------------------------------------------------------


def test_compatibility_is_tried_without_writing(
    owner: SignedClient, stranger: SignedClient, make: Make
) -> None:
    make("events")
    path = "/api/v1/schemas/events/compatibility"
    stricter = [*FIELDS, {"name": "must", "type": "string", "required": True}]
    report = stranger.call("POST", path, {"fields": stricter}).json()["data"]
    assert (report["compatible"], report["mode"], report["policy"]) == (False, "BACKWARD", "exact")
    assert report["witness"] == "verified"
    assert (
        stranger.call("POST", path, {"fields": stricter, "mode": "NONE"}).json()["data"]["compatible"] is True
    )
    assert stranger.call("POST", path, {"fields": stricter, "against": 1}).json()["data"][
        "checked_against"
    ] == [1]
    assert stranger.call("POST", path, {"fields": stricter, "against": 9}).status_code == 404
    assert stranger.call("POST", path, {"fields": stricter, "against": "all"}).status_code == 422
    other = stranger.call("POST", path, {"format": "avro", "content": "string"}).json()["data"]
    assert other["differences"][0]["code"] == "FORMAT_CHANGED"
    assert SchemaVersion.objects.count() == 1


def test_the_same_fields_as_json_schema_are_compatible(owner: SignedClient, make: Make) -> None:
    make("events", fields=[{"name": "a", "type": "string"}])
    schema = owner.call("GET", f"{VERSIONS}/1?format=jsonschema").json()["data"]["content"]
    added = owner.call("POST", VERSIONS, {"format": "jsonschema", "content": schema})
    assert added.status_code == 201, added.content


def test_transitive_modes_look_at_every_version(owner: SignedClient, make: Make) -> None:
    make(
        "events",
        fields=[{"name": "a", "type": "string"}, {"name": "b", "type": "integer"}],
        compatibility="NONE",
    )
    owner.call("POST", VERSIONS, {"fields": [{"name": "a", "type": "string"}]})
    changed = {"fields": [{"name": "a", "type": "string"}, {"name": "b", "type": "boolean"}]}
    owner.call("PATCH", "/api/v1/schemas/events", {"compatibility": "BACKWARD_TRANSITIVE"})
    refused = owner.call("POST", VERSIONS, changed)
    assert code(refused) == "SCHEMA_INCOMPATIBLE"
    assert refused.json()["error"]["details"]["checked_against"] == [1, 2]
    assert {
        entry["version"] for entry in refused.json()["error"]["details"]["differences"] if entry["breaking"]
    } == {1}
    owner.call("PATCH", "/api/v1/schemas/events", {"compatibility": "BACKWARD"})
    assert owner.call("POST", VERSIONS, changed).status_code == 201


def test_documents_are_validated_one_by_one_and_in_batches(owner: SignedClient, make: Make) -> None:
    make("events")
    path = f"{VERSIONS}/1/validate"
    sound = {"id": "0b7c5e0a-6b0e-4c5e-9c57-0d2f6f3f9f01"}
    assert owner.call("POST", path, {"document": sound}).json()["data"]["valid"] is True
    both = owner.call("POST", path, {"document": {"at": "yesterday", "x": 1}}).json()["data"]
    assert {problem["pointer"] for problem in both["problems"]} == {"", "/at"} or len(both["problems"]) >= 3
    batch = owner.call("POST", path, {"documents": [sound, {}, sound, None]}).json()["data"]
    assert (batch["valid"], batch["count"], batch["invalid"]) == (False, 4, 2)
    assert [entry["index"] for entry in batch["results"]] == [1, 3]
    assert owner.call("POST", path, {"document": None}).json()["data"]["valid"] is False
    refused: list[dict[str, Any]] = [{}, {"document": 1, "documents": []}, {"documents": {}}]
    for wrong in refused:
        assert owner.call("POST", path, wrong).status_code == 422


# --- Decisions -------------------------------------------------------------------------------------


def test_states_follow_decisions_and_each_is_recorded(make: Make, owner: SignedClient) -> None:
    make("events")
    make("successor")
    schema = Schema.objects.get(name="events")
    schema = decisions.approve(schema, actor=SYSTEM)
    with pytest.raises(SchemaStateConflict):
        decisions.approve(schema, actor=SYSTEM)
    successor = Schema.objects.get(name="successor")
    schema = decisions.deprecate(schema, actor=SYSTEM, on=timezone.now().date(), successor=successor)
    data = owner.call("GET", "/api/v1/schemas/events").json()["data"]
    assert (data["state"], data["successor"]) == ("deprecated", "successor")
    assert data["deprecated_on"]
    schema = decisions.block(schema, actor=SYSTEM, reason="Personal data.")
    for answer in (
        owner.call("GET", "/api/v1/schemas/events"),
        owner.call("GET", VERSIONS),
        owner.call("GET", f"{VERSIONS}/1"),
        owner.call("GET", f"{VERSIONS}/latest"),
        owner.call("GET", f"{VERSIONS}/1/receipt"),
        owner.call("POST", VERSIONS, {"fields": WITH_NOTE}),
    ):
        assert (answer.status_code, code(answer)) == (403, "SCHEMA_BLOCKED")
        assert answer.json()["error"]["details"]["reason"] == "Personal data."
    listed = {row["name"]: row for row in owner.call("GET", "/api/v1/schemas").json()["data"]}
    assert (listed["events"]["state"], listed["events"]["content"]) == ("blocked", None)
    decisions.unblock(schema, actor=SYSTEM)
    assert owner.call("GET", f"{VERSIONS}/1").status_code == 200
    actions = AuditEvent.objects.filter(target_label="events").order_by("id").values_list("action", flat=True)
    assert list(actions) == [
        "schema.created",
        "schema.approved",
        "schema.deprecated",
        "schema.blocked",
        "schema.unblocked",
    ]


def test_a_block_outlives_a_deletion(owner: SignedClient, make: Make) -> None:
    make("events")
    decisions.block(Schema.objects.get(), actor=SYSTEM, reason="No.")
    assert owner.call("DELETE", "/api/v1/schemas/events").status_code == 200
    assert (
        code(owner.call("POST", "/api/v1/schemas", {"name": "events", "fields": FIELDS})) == "SCHEMA_BLOCKED"
    )


def test_a_decision_taken_on_an_old_view_is_refused(make: Make) -> None:
    make("events")
    seen = Schema.objects.get()
    decisions.block(Schema.objects.get(), actor=SYSTEM, reason="First.")
    with pytest.raises(SchemaStateConflict):
        decisions.approve(seen, actor=SYSTEM)
    with pytest.raises(SchemaInvalid):
        decisions.block(Schema.objects.get(), actor=SYSTEM, reason=" ")


def test_versions_wait_for_approval_where_that_is_asked(
    owner: SignedClient, stranger: SignedClient, make: Make
) -> None:
    make("events")
    decisions.require_approval(Schema.objects.get(), actor=SYSTEM, required=True)
    waiting = owner.call("POST", VERSIONS, {"fields": WITH_NOTE})
    assert waiting.json()["data"]["state"] == "pending"
    assert stranger.call("GET", f"{VERSIONS}/2").status_code == 404
    assert [row["number"] for row in stranger.call("GET", VERSIONS).json()["data"]] == [1]
    assert stranger.call("GET", "/api/v1/schemas/events").json()["data"]["number"] == 1
    own = owner.call("GET", f"{VERSIONS}/2")
    assert (own.json()["data"]["state"], own["Cache-Control"]) == ("pending", "no-store")
    assert owner.call("GET", VERSIONS).json()["meta"]["count"] == 2
    for caller, numbers in (owner, [2]), (stranger, [1]):
        tried = caller.call("POST", "/api/v1/schemas/events/compatibility", {"fields": FIELDS[:1]})
        assert tried.json()["data"]["checked_against"] == numbers
        assert ("note" in tried.text) == (caller is owner)

    version = SchemaVersion.objects.select_related("schema").get(number=2)
    decisions.approve_version(version, actor=SYSTEM)
    assert stranger.call("GET", f"{VERSIONS}/2").json()["data"]["state"] == "available"
    assert stranger.call("GET", f"{VERSIONS}/latest").json()["data"]["number"] == 2
    with pytest.raises(SchemaStateConflict):
        decisions.approve_version(version, actor=SYSTEM)


def test_break_glass_lets_an_incompatible_version_through_on_record(owner: SignedClient, make: Make) -> None:
    make("events")
    schema = Schema.objects.get()
    with pytest.raises(SchemaInvalid):
        decisions.break_glass(schema, actor=SYSTEM, until=timezone.now() + timedelta(hours=1), reason="")
    with pytest.raises(SchemaInvalid):
        decisions.break_glass(schema, actor=SYSTEM, until=timezone.now() + timedelta(days=30), reason="long")
    stricter = {"fields": [*FIELDS, {"name": "must", "type": "string", "required": True}]}
    assert code(owner.call("POST", VERSIONS, stricter)) == "SCHEMA_INCOMPATIBLE"
    decisions.break_glass(schema, actor=SYSTEM, until=timezone.now() + timedelta(hours=1), reason="Migration")
    assert owner.call("POST", VERSIONS, stricter).status_code == 201
    used = AuditEvent.objects.get(action="schema.break_glass_used")
    assert used.after is not None
    assert used.after["number"] == 2
    Schema.objects.update(break_glass_until=timezone.now() - timedelta(seconds=1))
    assert code(
        owner.call("POST", VERSIONS, {"fields": [{"name": "b", "type": "date", "required": True}]})
    ) == ("SCHEMA_INCOMPATIBLE")


def test_erasing_frees_the_name(owner: SignedClient, stranger: SignedClient, make: Make) -> None:
    make("events")
    owner.call("POST", VERSIONS, {"fields": WITH_NOTE})
    decisions.erase(Schema.objects.get(), actor=SYSTEM, reason="Test data.")
    assert SchemaVersion.objects.count() == 0
    assert (
        stranger.call("POST", "/api/v1/schemas", {"name": "events", "fields": FIELDS}).json()["data"][
            "number"
        ]
        == 1
    )
    erased = AuditEvent.objects.get(action="schema.erased")
    assert erased.before is not None
    assert len(erased.before["fingerprints"]) == 2
