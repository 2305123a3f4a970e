"""Which keys a keyid stands for, and what keyids that do not exist may cost."""

from __future__ import annotations

import time
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from keys.epochs import advance
from keys.models import Key, Refusal
from keys.unknown import LIMIT_PER_MINUTE
from tests.support.client import ORIGIN, WireClient
from tests.support.registered import public_key, register_active
from tests.support.signing import SignedRequest, Signer

pytestmark = pytest.mark.django_db


def me(signer: Signer, **signing: Any) -> SignedRequest:
    return signer.sign("GET", f"{ORIGIN}/api/v1/auth/me", **signing)


def add_key(to: str, signer: Signer, *, seconds_later: int) -> None:
    """A further active key of the client, as rotations leave them behind."""
    old = Key.objects.select_related("client").filter(client__client_id=to).latest("registered_at")
    new = public_key(signer)
    with transaction.atomic():
        Key.objects.create(
            client=old.client,
            algorithm=new.algorithm,
            public_key=new.der,
            fingerprint=new.fingerprint,
            thumbprint=new.thumbprint,
            status="active",
            registered_at=timezone.now() + timedelta(seconds=seconds_later),
        )
        advance(old.client)


def test_a_client_id_stands_for_its_three_newest_keys_and_a_thumbprint_for_exactly_one(
    client: WireClient,
) -> None:
    first = register_active("many-keys")
    assert client.send(me(first)).status_code == 200
    others = [Signer("many-keys") for _ in range(3)]
    for number, signer in enumerate(others, start=1):
        add_key("many-keys", signer, seconds_later=number)
    assert [client.send(me(signer)).status_code for signer in others] == [200, 200, 200]
    refused = client.send(me(first))
    assert refused.json()["error"]["code"] == "SIGNATURE_VERIFICATION_FAILED"

    by_thumbprint = Signer(public_key(first).thumbprint, first.private_key)
    assert client.send(me(by_thumbprint)).status_code == 200
    another_one = Signer(public_key(others[0]).thumbprint, first.private_key)
    assert client.send(me(another_one)).status_code == 401


def test_a_flood_of_unknown_keyids_is_cut_off_and_clients_that_are_known_are_not_touched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = WireClient(REMOTE_ADDR="192.0.2.77")
    known = register_active("neighbour")
    assert client.send(me(known)).status_code == 200
    # The count begins anew with each minute, and one may begin meanwhile.
    flood = (client.send(me(Signer(f"made-up-{number}"))) for number in range(2 * LIMIT_PER_MINUTE + 1))
    assert next(flood).json()["error"]["code"] == "CLIENT_NOT_FOUND"
    refused = next(answer for answer in flood if answer.status_code != 401)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "RATE_LIMITED")
    assert 1 <= int(refused["Retry-After"]) <= 61
    assert client.send(me(known)).status_code == 200
    later = time.monotonic() + 2 * settings.DATAFOLD_DIRECTORY_TTL_SECONDS
    monkeypatch.setattr("keys.directory.time", SimpleNamespace(monotonic=lambda: later))
    assert client.send(me(known)).status_code == 200, "its record has to be read again"
    elsewhere = WireClient(REMOTE_ADDR="192.0.2.78")
    assert elsewhere.send(me(Signer("made-up"))).json()["error"]["code"] == "CLIENT_NOT_FOUND"


@pytest.mark.parametrize(
    ("signing", "code"),
    [
        ({"created": timedelta(minutes=-20)}, "SIGNATURE_EXPIRED"),
        ({"created": timedelta(minutes=20)}, "TIMESTAMP_IN_FUTURE"),
        ({"covered": ("@method",)}, "COMPONENT_NOT_COVERED"),
        ({"nonce": "a b"}, "NONCE_INVALID"),
    ],
)
def test_what_no_profile_would_take_is_refused_before_the_database_is_asked(
    client: WireClient, signing: dict[str, Any], code: str
) -> None:
    if "created" in signing:
        signing = {"created": timezone.now() + signing["created"]}
    with CaptureQueriesContext(connection) as queries:
        refused = client.send(me(Signer("never-met"), **signing))
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, code)
    assert [query["sql"] for query in queries if '"keys_key"' in query["sql"]] == []
    assert Refusal.objects.get(request_id=refused["X-Request-ID"]).claimed_client_id == "never-met"


def test_what_one_profile_would_take_is_judged_by_the_clients_own(client: WireClient) -> None:
    late = timezone.now() - timedelta(minutes=8)
    strict, lenient = (
        register_active("strict-one", profile="strict"),
        register_active("late-one", profile="lenient"),
    )
    assert client.send(me(lenient, created=late)).status_code == 200
    refused = client.send(me(strict, created=late)).json()["error"]
    assert (refused["code"], refused["details"]["window_s"]) == ("SIGNATURE_EXPIRED", 60)
    refused = client.send(me(Signer("never-met"), created=late))
    assert refused.json()["error"]["code"] == "CLIENT_NOT_FOUND"


def test_a_client_that_was_met_is_told_its_own_window(client: WireClient) -> None:
    strict = register_active("strict-one", profile="strict")
    covered = ("@method", "@target-uri", "@authority")
    assert client.send(me(strict, covered=covered)).status_code == 200
    refused = client.send(me(strict, created=timezone.now() - timedelta(hours=1))).json()["error"]
    assert (refused["code"], refused["details"]["window_s"]) == ("SIGNATURE_EXPIRED", 60)
