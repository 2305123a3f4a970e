"""Reading: validators, caching, warm without the database, and who read what."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.audit import Actor
from keys import lifecycle
from keys.models import Key
from schemas import decisions, reading, usage
from schemas.jobs import flush_schema_reads
from schemas.models import Schema, VersionRead
from tests.schemas.conftest import FIELDS, WITH_NOTE
from tests.support.client import SignedClient, WireClient

Make = Callable[..., Any]
VERSION = "/api/v1/schemas/events/versions/1"
SYSTEM = Actor.system("tests")


@pytest.fixture(autouse=True)
def _nothing_counted() -> None:
    usage._buffer._counts.clear()


def schema_queries(queries: CaptureQueriesContext) -> list[str]:
    return [query["sql"] for query in queries if "schemas_" in query["sql"]]


def test_a_version_may_be_kept_and_is_asked_for_by_its_tag(
    owner: SignedClient, make: Make, settings: Any
) -> None:
    make("events")
    answer = owner.call("GET", VERSION)
    assert answer["Cache-Control"] == "private, max-age=31536000, immutable"
    assert answer.json()["meta"]["request_id"] == answer["X-Request-ID"]
    again = owner.call("GET", VERSION, headers={"If-None-Match": answer["ETag"]})
    assert again.status_code == 304
    assert again.content == b""
    assert owner.call("GET", VERSION, headers={"If-None-Match": 'W/"other"'}).status_code == 200
    other = owner.call("GET", f"{VERSION}?format=avro")
    assert other["ETag"] != answer["ETag"]


def test_lists_and_schemas_are_asked_for_by_their_tag(owner: SignedClient, make: Make) -> None:
    make("events")
    for path in ("/api/v1/schemas", "/api/v1/schemas/events"):
        answer = owner.call("GET", path)
        assert answer["Cache-Control"] == "private, no-cache"
        headers = {"If-None-Match": answer["ETag"]}
        assert owner.call("GET", path, headers=headers).status_code == 304
        decisions.break_glass(Schema.objects.get(), actor=SYSTEM, until=timezone.now(), reason="touch")
        assert owner.call("GET", path, headers=headers).status_code == 200


def test_without_signatures_shared_caches_may_keep_it(client: WireClient, make: Make, settings: Any) -> None:
    settings.DATAFOLD_REQUIRE_AUTH = False
    make("events")
    assert client.get(VERSION)["Cache-Control"].startswith("public")


def test_a_warm_version_asks_the_database_nothing(client: WireClient, make: Make, settings: Any) -> None:
    settings.DATAFOLD_REQUIRE_AUTH = False
    settings.DATAFOLD_SCHEMA_CACHE_SECONDS = 60
    make("events")
    cold = client.get(VERSION).json()
    with CaptureQueriesContext(connection) as queries:
        warm = client.get(VERSION).json()
    assert schema_queries(queries) == []
    assert warm["data"] == cold["data"]
    assert warm["meta"]["request_id"] != cold["meta"]["request_id"]


def test_what_others_write_leaves_it_warm(owner: SignedClient, make: Make, settings: Any) -> None:
    """Else every new version anywhere would send all readers of all schemas to the database."""
    settings.DATAFOLD_SCHEMA_CACHE_SECONDS = 60
    make("events")
    owner.call("GET", VERSION)
    make("others")
    assert owner.call("POST", "/api/v1/schemas/events/versions", {"fields": WITH_NOTE}).status_code == 201
    with CaptureQueriesContext(connection) as queries:
        assert owner.call("GET", VERSION).status_code == 200
    assert schema_queries(queries) == []


@pytest.mark.parametrize("change", ["block", "delete", "deprecate", "erase"])
def test_a_warm_version_is_not_served_after_a_decision(
    owner: SignedClient, make: Make, change: str, settings: Any
) -> None:
    settings.DATAFOLD_SCHEMA_CACHE_SECONDS = 60
    make("events")
    for _ in range(2):
        assert owner.call("GET", VERSION).status_code == 200
    schema = Schema.objects.get()
    if change == "block":
        decisions.block(schema, actor=SYSTEM, reason="It leaks addresses.")
    elif change == "deprecate":
        decisions.deprecate(schema, actor=SYSTEM, on=timezone.now().date())
    elif change == "erase":
        decisions.erase(schema, actor=SYSTEM, reason="Wrong server.")
    else:
        owner.call("DELETE", "/api/v1/schemas/events")
    answer = owner.call("GET", VERSION)
    expected = {"block": 403, "delete": 404, "erase": 404, "deprecate": 200}[change]
    assert answer.status_code == expected
    if change == "block":
        assert answer.json()["error"]["code"] == "SCHEMA_BLOCKED"
        assert "leaks addresses" in answer.json()["error"]["message"]
    if change == "deprecate":
        assert answer.json()["data"]["state"] == "deprecated"


def test_a_warm_version_is_suspect_as_soon_as_its_key_is(
    owner: SignedClient, make: Make, settings: Any, stranger: SignedClient
) -> None:
    settings.DATAFOLD_SCHEMA_CACHE_SECONDS = 60
    make("events")
    first = [stranger.call("GET", VERSION) for _ in range(2)][-1]
    assert first.json()["data"]["suspect"] is False
    key = Key.objects.get(client__client_id="owner")
    yesterday = timezone.now() - timedelta(days=1)
    lifecycle.revoke(key, actor=SYSTEM, revocation_reason="keyCompromise", compromised_since=yesterday)
    answer = stranger.call("GET", VERSION, headers={"If-None-Match": first["ETag"]})
    assert answer.status_code == 200
    assert answer.json()["data"]["suspect"] is True


def test_a_cache_entry_of_another_process_ends_by_itself(
    make: Make, settings: Any, owner: SignedClient
) -> None:
    """What another process changes without Redis is seen once the cached answer has expired."""
    settings.DATAFOLD_SCHEMA_CACHE_SECONDS = 0
    make("events")
    assert owner.call("GET", VERSION).json()["data"]["state"] == "available"
    Schema.objects.update(state="approved")
    reading._cache.entries = type(reading._cache.entries)(
        (key, (0.0, epoch, rendered)) for key, (_, epoch, rendered) in reading._cache.entries.items()
    )
    assert owner.call("GET", VERSION).json()["data"]["state"] == "approved"


def test_who_reads_is_counted_without_a_write_per_request(
    owner: SignedClient, stranger: SignedClient, make: Make
) -> None:
    make("events")
    stranger.call("GET", VERSION)
    with CaptureQueriesContext(connection) as queries:
        for _ in range(3):
            stranger.call("GET", VERSION)
    assert not [sql for sql in schema_queries(queries) if not sql.startswith("SELECT")]
    assert VersionRead.objects.count() == 0
    assert flush_schema_reads(timezone.now()) == {"reads": 4}
    assert flush_schema_reads(timezone.now()) == {"reads": 0}
    owner.call("GET", VERSION)
    flush_schema_reads(timezone.now())
    readers = owner.call("GET", "/api/v1/schemas/events/readers").json()["data"]
    assert {(row["client_id"], row["number"], row["reads"]) for row in readers} == {
        ("stranger", 1, 4),
        ("owner", 1, 1),
    }
    refused = stranger.call("GET", "/api/v1/schemas/events/readers")
    assert refused.json()["error"]["code"] == "SCHEMA_FORBIDDEN"


def test_the_newest_version_is_converted_asked_for_by_its_tag_and_counted(
    owner: SignedClient, stranger: SignedClient, make: Make
) -> None:
    make("events")
    latest = "/api/v1/schemas/events/versions/latest"
    first = stranger.call("GET", latest)
    assert first["Cache-Control"] == "private, no-cache"
    headers = {"If-None-Match": first["ETag"]}
    assert stranger.call("GET", latest, headers=headers).status_code == 304
    assert "interface" in stranger.call("GET", f"{latest}?format=typescript").json()["data"]["content"]
    refused = stranger.call("GET", f"{latest}?format=cobol")
    assert refused.json()["error"]["code"] == "CONVERSION_IMPOSSIBLE"
    owner.call("POST", "/api/v1/schemas/events/versions", {"fields": WITH_NOTE})
    assert stranger.call("GET", latest, headers=headers).json()["data"]["number"] == 2
    owner.call("GET", "/api/v1/schemas/events")
    flush_schema_reads(timezone.now())
    readers = owner.call("GET", "/api/v1/schemas/events/readers").json()["data"]
    assert sorted((row["client_id"], row["number"], row["reads"]) for row in readers) == [
        ("owner", 2, 1),
        ("stranger", 1, 3),
        ("stranger", 2, 1),
    ]


def test_a_document_is_checked_against_the_versions_in_use(
    owner: SignedClient, stranger: SignedClient, make: Make
) -> None:
    make("events", compatibility="NONE")
    owner.call("POST", "/api/v1/schemas/events/versions", {"fields": WITH_NOTE})
    owner.call(
        "POST", "/api/v1/schemas/events/versions", {"fields": [*FIELDS, {"name": "x", "type": "date"}]}
    )
    stranger.call("GET", "/api/v1/schemas/events/versions/2")
    flush_schema_reads(timezone.now())
    sent = {"fields": FIELDS, "mode": "BACKWARD", "against": "in_use"}
    report = owner.call("POST", "/api/v1/schemas/events/compatibility", sent).json()["data"]
    assert report["checked_against"] == [2]
    assert report["compatible"] is False
    assert "note" in str(report["differences"])


def test_many_versions_are_judged_for_so_long_and_no_longer(
    owner: SignedClient, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    make("events")
    owner.call("POST", "/api/v1/schemas/events/versions", {"fields": WITH_NOTE})
    owner.call("PATCH", "/api/v1/schemas/events", {"compatibility": "BACKWARD_TRANSITIVE"})
    sent = {"fields": [*WITH_NOTE, {"name": "more", "type": "date"}]}
    compatibility = "/api/v1/schemas/events/compatibility"
    assert owner.call("POST", compatibility, sent).json()["data"]["checked_against"] == [1, 2]
    monkeypatch.setattr("schemas.verdicts.MAX_SECONDS", 0.0)
    for path in (compatibility, "/api/v1/schemas/events/versions"):
        error = owner.call("POST", path, sent).json()["error"]
        assert (error["code"], error["details"]["judged"]) == ("SCHEMA_TOO_COMPLEX", 1)


def test_lists_are_filtered_ordered_and_paged(
    owner: SignedClient, stranger: SignedClient, make: Make
) -> None:
    for number in range(5):
        make(f"schema-{number}")
    make(
        "avro-one",
        format="avro",
        content={"type": "record", "name": "R", "fields": [{"name": "PhoneNo", "type": "int"}]},
    )
    stranger.call(
        "POST", "/api/v1/schemas", {"name": "theirs", "fields": FIELDS, "description": "Über Katzen"}
    )
    decisions.approve(Schema.objects.get(name="schema-2"), actor=SYSTEM)

    def names(query: str) -> list[str]:
        return [row["name"] for row in owner.call("GET", f"/api/v1/schemas?{query}").json()["data"]]

    assert names("owner=stranger") == ["theirs"]
    assert names("state=approved") == ["schema-2"]
    assert names("format=avro") == ["avro-one"]
    assert names("q=phoneno") == ["avro-one"]
    assert names("q=%C3%BCber") == names("q=be") == ["theirs"]
    assert names("q=heeirs") == names("q=%25schema") == []
    assert names("q=schema-&ordering=-name")[:2] == ["schema-4", "schema-3"]
    assert names("ordering=-created_at")[0] == "theirs"

    for ordering in ("name", "-created_at"):
        seen: list[str] = []
        cursor = ""
        while True:
            page = owner.call("GET", f"/api/v1/schemas?limit=2&ordering={ordering}{cursor}").json()
            seen += [row["name"] for row in page["data"]]
            if not page["meta"]["pagination"]["has_more"]:
                break
            cursor = f"&cursor={page['meta']['pagination']['next_cursor']}"
        assert len(seen) == len(set(seen)) == 7


def test_common_text_is_found_as_well_as_rare(
    owner: SignedClient, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one-a", "one-b", "two"):
        make(name)
    for rare in (0, 1, 1000):
        monkeypatch.setattr("schemas.models.schema.RARE", rare)
        found = owner.call("GET", "/api/v1/schemas?q=one-&ordering=-name").json()["data"]
        assert [row["name"] for row in found] == ["one-b", "one-a"]


def test_a_page_of_schemas_takes_few_queries_however_long(owner: SignedClient, make: Make) -> None:
    make("a")
    with CaptureQueriesContext(connection) as few:
        owner.call("GET", "/api/v1/schemas")
    for number in range(10):
        make(f"b{number}")
    with CaptureQueriesContext(connection) as many:
        assert len(owner.call("GET", "/api/v1/schemas").json()["data"]) == 11
    assert len(schema_queries(many)) == len(schema_queries(few)) == 2
