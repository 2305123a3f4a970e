"""Proofs checked on the server, and what a compromised key leaves behind."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.audit import Actor
from keys import lifecycle
from keys.models import Key
from schemas.documents import read_document
from schemas.models import SchemaVersion
from schemas.proof import prove
from schemas.receipts import author_of
from tests.schemas.conftest import FIELDS, WITH_NOTE
from tests.support.client import SignedClient

Make = Callable[..., Any]


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("verify_receipts", *arguments, stdout=out)
    return out.getvalue()


def test_true_receipts_hold(owner: SignedClient, make: Make) -> None:
    make("events", description="of all kinds")
    make("other", format="avro", content={"type": "record", "name": "R", "fields": []})
    owner.call("POST", "/api/v1/schemas/events/versions", {"fields": WITH_NOTE})
    for version in SchemaVersion.objects.select_related("schema", "author", "author_key"):
        proof = prove(version)
        assert proof.verdict == "verified", proof.checks
    assert run() == "3 versions: 3 verified.\n"
    assert json.loads(run("events", "--json"))["verified"] == 2
    with pytest.raises(CommandError, match="no schema"):
        run("nothing")


@pytest.mark.parametrize(
    ("broken", "name"),
    [
        (lambda r: r["request"].update(signature=b64encode(b"x" * 64).decode()), "signature"),
        (lambda r: r["request"].update(signature="?"), "signature"),
        (lambda r: r["request"].update(signature_base="é"), "signature"),
        (lambda r: r["request"].update(body=b64encode(b'{"name":"events","fields":[]}').decode()), "body"),
        (lambda r: r.update(client_id="somebody"), "signer"),
        (lambda r: r["request"].update(signature_input="sig=()"), "signer"),
        (lambda r: r["key"].update(thumbprint="x"), "key"),
        (lambda r: r["key"].update(jwk=[]), "key"),
        (lambda r: r.clear(), "key"),
    ],
)
def test_a_receipt_that_was_touched_does_not_hold(make: Make, broken: Any, name: str) -> None:
    make("events")
    version = SchemaVersion.objects.select_related("schema", "author", "author_key").get()
    broken(version.receipt)
    proof = prove(version)
    assert proof.verdict == "broken"
    assert name in [check.name for check in proof.checks if not check.passed]


def test_what_was_only_tried_is_no_proof_that_it_was_written(owner: SignedClient, make: Make) -> None:
    """A check of compatibility is signed over the very body that would write the version."""
    make("events")
    version = SchemaVersion.objects.select_related("schema", "author", "author_key").get()
    checked = owner.call("POST", "/api/v1/schemas/events/compatibility", {"fields": FIELDS})
    verified = checked.renderer_context["request"].auth
    version.receipt = author_of(verified, received_at=timezone.now()).receipt
    assert [check.name for check in prove(version).checks if not check.passed] == ["request"]


def test_content_that_was_touched_does_not_match_its_receipt(make: Make) -> None:
    make("events")
    version = SchemaVersion.objects.select_related("schema", "author", "author_key").get()
    version.content = WITH_NOTE
    assert [check.name for check in prove(version).checks if not check.passed] == ["content"]


def test_content_that_is_sound_in_another_format_is_not_what_was_signed(make: Make) -> None:
    content = {"type": "string"}
    make("events", format="jsonschema", content=content)
    version = SchemaVersion.objects.select_related("schema", "author", "author_key").get()
    avro = read_document("avro", content)
    version.format, version.canonical = "avro", avro.canonical
    version.fingerprint, version.digest = avro.fingerprint, avro.digest
    assert [check.name for check in prove(version).checks if not check.passed] == ["content"]


@pytest.mark.parametrize("late", [False, True], ids=["revoked", "reported of an expired key"])
def test_versions_of_a_compromised_key_are_marked(owner: SignedClient, make: Make, late: bool) -> None:
    make("before")
    between = timezone.now()
    make("after")
    key = Key.objects.select_related("client").get(client__client_id="owner")
    actor = Actor.system("test")
    if late:
        lifecycle.expire(key, actor=actor)
        lifecycle.report_compromise(key, actor=actor, since=between, reason="stolen")
    else:
        lifecycle.revoke(
            key,
            actor=actor,
            revocation_reason="keyCompromise",
            reason="stolen",
            compromised_since=between,
        )
    out = run()
    assert "SUSPECT after v1" in out
    assert "2 versions: 1 suspect, 1 verified." in out
    from tests.support.registered import register_active

    reader = SignedClient(register_active("reader"))
    suspects = {row["name"]: row["suspect"] for row in reader.call("GET", "/api/v1/schemas").json()["data"]}
    assert suspects == {"before": False, "after": True}
    version = reader.call("GET", "/api/v1/schemas/after/versions/1").json()["data"]
    assert version["suspect"] is True


def test_what_was_written_without_authentication_is_unsigned(db: None, client: Any, settings: Any) -> None:
    settings.DATAFOLD_ENABLE_AUTH = False
    client.post("/api/v1/schemas", {"name": "dev", "fields": FIELDS}, content_type="application/json")
    assert run() == "1 versions: 1 unsigned.\n"
