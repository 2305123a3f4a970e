"""What `make chaos` reads out of a database that is not as clients were told."""

from __future__ import annotations

import ssl
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from datafold_sdk import ServerKeys
from django.db import connection
from django.utils import timezone

from accounts.audit import Actor, record_event
from accounts.models import Webhook, WebhookDelivery
from accounts.webhooks.feed import feed
from accounts.webhooks.subscriptions import create_webhook
from benchmarks.chaos import database, webhooks
from benchmarks.chaos.records import Record
from benchmarks.chaos.webhooks import Deliveries, WebhookReceiver
from keys.models import Key
from schemas.models import Media, SchemaVersion, ValidationJob
from tests.chaos.test_judge import record
from tests.edge.nginx import make_certificate
from tests.support.client import SignedClient
from tests.support.registered import register_active
from tests.support.stack import Stack, current_stack
from tests.webhooks.receiver import Received

KEY = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
"""RFC 8037, appendix A.2."""

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(current_stack() is not Stack.POSTGRES, reason="its SQL is PostgreSQL's"),
]


def query(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


@pytest.fixture
def written() -> Record:
    """The record of a schema that was really written."""
    client = SignedClient(register_active("customer"))
    body = {"name": "orders", "fields": [{"name": "id", "type": "integer"}]}
    answer = client.call("POST", "/api/v1/schemas", body)
    assert answer.status_code == 201
    data = answer.json()["data"]
    facts = {"schema": "orders", "number": data["number"], "fingerprint": data["fingerprint"]}
    return record(kind="create", status=201, request_id=answer["X-Request-ID"], facts=facts)


def changed(original: Record, **changes: Any) -> Record:
    return replace(original, **changes)


def test_a_write_that_is_there_is_not_missing(written: Record) -> None:
    assert database.missing_writes([written], query) == []
    assert database.writes_without_event([written], query) == []


@pytest.mark.parametrize("facts", [{"number": 2}, {"schema": "others"}, {"fingerprint": "other"}])
def test_a_write_that_is_not_there_or_is_another_is_missing(written: Record, facts: dict[str, Any]) -> None:
    assert database.missing_writes([changed(written, facts=written.facts | facts)], query)


@pytest.mark.parametrize("kind", ["register", "validate"])
def test_other_things_that_are_not_there_are_missing(kind: str) -> None:
    assert database.missing_writes(
        [record(kind=kind, facts={"id": "0b7c5e0a-6b0e-4c5e-9c57-0d2f6f3f9f01"})], query
    )


def test_a_revocation_that_did_not_last_is_missing(written: Record) -> None:
    assert database.missing_writes([changed(written, kind="revoke")], query)


def test_what_was_not_acknowledged_may_be_missing(written: Record) -> None:
    lost = changed(written, status=0, code="ReadTimeout", facts={"schema": "lost"})
    assert database.missing_writes([lost], query) == []


def test_a_write_whose_event_is_of_another_request_has_none(written: Record) -> None:
    assert database.writes_without_event([changed(written, request_id="other")], query)


def test_a_row_without_event_and_an_event_without_row_are_found(written: Record) -> None:
    version = SchemaVersion.objects.get()
    SchemaVersion.objects.create(
        schema=version.schema,
        number=2,
        version="2.0.0",
        format=version.format,
        content=[],
        canonical=b"[]",
        fingerprint="f",
        digest="d",
        created_at=timezone.now(),
    )
    record_event(
        actor=Actor.system(),
        action="schema.version_added",
        target_kind="schema",
        target_id=str(version.schema_id),
        after={"number": 3},
    )
    found = database.writes_without_event([], query)
    assert any("version 2 of orders" in each for each in found)
    assert any("a version that is not there" in each for each in found)


def test_a_key_without_event_is_found() -> None:
    register_active("customer")
    key = Key.objects.get()
    assert database.writes_without_event([], query) == []
    key.pk, key.public_key, key.fingerprint, key.thumbprint = uuid4(), b"other", "f" * 64, "t"
    key.save(force_insert=True)
    assert len(database.writes_without_event([], query)) == 1


def test_work_that_is_still_to_be_done_is_counted(written: Record) -> None:
    """A validation that runs, and a key that will expire."""
    before = database.pending(query)
    ValidationJob.objects.create(
        version=SchemaVersion.objects.get(), file="f", media=Media.NDJSON, size=1, state="running"
    )
    register_active("expiring-0")
    left = database.pending(query)
    assert (before["validations"], before["expiries"]) == (0, 0)
    assert (left["validations"], left["expiries"]) == (1, 1)


def test_expiries_that_did_not_happen_or_happened_twice() -> None:
    register_active("expiring-0")
    key = Key.objects.get()
    assert database.expiries(query) == (["expiring-0"], [])
    Key.objects.filter(pk=key.pk).update(status="expired", expires_at=timezone.now() - timedelta(seconds=1))
    for _ in range(2):
        record_event(actor=Actor.system(), action="key.expired", target_kind="key", target_id=str(key.pk))
    assert database.expiries(query) == ([], ["expiring-0"])


@pytest.mark.parametrize(
    ("columns", "is_lost", "is_twice"),
    [
        ({"state": "done", "records": 500, "invalid": 5}, False, False),
        ({"state": "running", "records": 500, "invalid": 5}, True, False),
        ({"state": "done", "records": 400, "invalid": 5}, True, False),
        ({"state": "done", "records": 600, "invalid": 6}, False, True),
    ],
)
def test_validations_are_counted_exactly(
    written: Record, columns: dict[str, Any], is_lost: bool, is_twice: bool
) -> None:
    job = ValidationJob.objects.create(
        version=SchemaVersion.objects.get(), file="f", media=Media.NDJSON, size=1, **columns
    )
    asked = record(kind="validate", status=202, facts={"id": str(job.pk), "records": 500, "invalid": 5})
    lost, twice = database.validations([asked], query)
    assert (bool(lost), bool(twice)) == (is_lost, is_twice)


def test_an_event_without_a_seal_is_found(written: Record) -> None:
    assert database.unsealed(query)


def test_a_use_that_was_counted_twice_is_found(written: Record) -> None:
    Key.objects.update(usage_count=2)
    assert database.usage([written], query) == (1, 2, ["customer: 2 counted, 1 sent"])
    no_answer = changed(written, nonce="lost", status=0, code="ReadTimeout")
    assert database.usage([written, no_answer], query)[2] == []


# --- Webhooks -----------------------------------------------------------------------------------------


@pytest.fixture
def deliveries(settings: Any) -> list[Received]:
    """Two events that were delivered, in order."""
    settings.DATAFOLD_WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    create_webhook(actor=Actor.system(), client=None, url="https://localhost:8443/", events=["*"])
    register_active("told")
    feed(timezone.now())
    WebhookDelivery.objects.update(status="delivered")
    return [
        Received("/", [("DataFold-Delivery", str(each.delivery_id))], each.body.encode())
        for each in WebhookDelivery.objects.order_by("pk")
    ]


def test_webhooks_that_came_as_they_should(deliveries: list[Received]) -> None:
    received = Deliveries([*deliveries, deliveries[-1]])
    assert received.again == 1
    assert webhooks.lost(received, query) == []
    assert webhooks.told_twice(received, query) == []
    assert webhooks.out_of_order(received, query) == []


def test_a_webhook_that_never_came_is_lost(deliveries: list[Received]) -> None:
    assert webhooks.lost(Deliveries(deliveries[:-1]), query)


def test_a_webhook_that_came_and_that_the_database_forgot_is_lost(deliveries: list[Received]) -> None:
    WebhookDelivery.objects.latest("pk").delete()
    found = webhooks.lost(Deliveries(deliveries), query)
    assert any("arrived and is unknown" in each for each in found)
    assert webhooks.out_of_order(Deliveries(deliveries), query) == []


def test_a_database_that_lost_everything_is_told(deliveries: list[Received], written: Record) -> None:
    lost = changed(written, client="lost", nonce="lost")
    assert database.usage([written, lost], query)[2] == []
    assert database.missing_writes([changed(lost, kind="revoke")], query)
    Webhook.objects.all().delete()
    assert webhooks.lost(Deliveries(deliveries), query) == ["the webhook itself"]


def test_an_event_that_nobody_fed_is_lost(deliveries: list[Received]) -> None:
    register_active("untold")
    assert webhooks.lost(Deliveries(deliveries), query)


def test_webhooks_out_of_order_are_found(deliveries: list[Received]) -> None:
    assert webhooks.out_of_order(Deliveries(deliveries[::-1]), query)


def test_a_webhook_without_the_servers_signature_is_refused(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, tmp_path / "key.pem")
    receiver = WebhookReceiver(tls)
    receiver.keys = ServerKeys.from_jwks({"keys": [KEY]})
    try:
        trust = ssl.create_default_context(cafile=certificate)
        httpx2.post(
            receiver.url, json={}, headers={"DataFold-Delivery": "forged"}, verify=trust, trust_env=False
        )
    finally:
        receiver.receiver.stop()
    assert [refused.partition(":")[0] for refused in receiver.refused] == ["forged"]


def test_an_event_under_two_deliveries_is_told_twice(deliveries: list[Received]) -> None:
    again = Received("/", [("DataFold-Delivery", "another")], deliveries[0].body)
    assert webhooks.told_twice(Deliveries([*deliveries, again]), query)
