"""Registering a key over the API: policies, tokens, proof of possession, hostile input."""

from __future__ import annotations

import json
from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.db import connection
from django.utils import timezone

from accounts.audit import Actor
from accounts.models import AuditEvent, Client, User
from keys import lifecycle
from keys.models import EnrolmentToken, Key
from keys.registration import issue_token
from tests.support.client import ORIGIN, SignedClient, WireClient
from tests.support.registered import register_active
from tests.support.signing import Signer

URL = "/api/v1/crypto/keys/register"
pytestmark = pytest.mark.django_db


def post(client: WireClient, body: Any, **kwargs: Any) -> Any:
    return client.post(URL, json.dumps(body), content_type="application/json", **kwargs)


def test_a_new_key_waits_for_an_operator(client: WireClient) -> None:
    signer = Signer()
    answer = post(
        client,
        {
            "client_id": "billing",
            "public_key": signer.public_hex,
            "key_name": "host 7",
            "user_id": "u1",
            "metadata": {"team": "payments"},
        },
    )
    assert answer.status_code == 200
    data = answer.json()["data"]
    assert data["client_id"] == "billing"
    assert data["status"] == "pending"
    assert data["public_key"] == signer.public_hex
    assert data["algorithm"] == "ed25519"
    assert data["key_name"] == "host 7"
    assert data["metadata"] == {"team": "payments"}
    assert data["expires_at"] is None
    assert {"registration_id", "thumbprint", "registered_at"} <= data.keys()
    event = AuditEvent.objects.get(action="key.registered")
    assert (event.target_id, event.actor_kind) == (data["registration_id"], "anonymous")
    assert event.request_id == answer["X-Request-ID"]


def test_a_client_id_is_made_up_when_none_is_given(client: WireClient) -> None:
    answer = post(client, {"public_key": Signer().public_hex})
    assert Client.objects.filter(client_id=answer.json()["data"]["client_id"]).exists()


@pytest.mark.parametrize("kind", ["p256", "p384", "rsa"])
def test_other_kinds_of_keys_come_as_pem(client: WireClient, kind: str) -> None:
    if kind == "rsa":
        private: Any = rsa.generate_private_key(65537, 2048)
    else:
        private = ec.generate_private_key(ec.SECP256R1() if kind == "p256" else ec.SECP384R1())
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    data = post(client, {"public_key": pem}).json()["data"]
    assert data["public_key"] == pem
    expected = {"p256": "ecdsa-p256-sha256", "p384": "ecdsa-p384-sha384", "rsa": "rsa-pss-sha512"}
    assert data["algorithm"] == expected[kind]


def test_a_private_key_sent_by_mistake_is_refused_and_not_echoed(client: WireClient) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    answer = post(client, {"public_key": pem})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "INVALID_PUBLIC_KEY")
    assert "private" in answer.json()["error"]["message"].lower()
    assert pem.splitlines()[1] not in answer.content.decode()


@pytest.mark.parametrize(
    "public_key",
    [
        "",
        "00",
        "zz" * 32,
        "00" * 32,  # the neutral point: anybody can sign under it
        "01" + "00" * 31,
        "ff" * 32,
        "ed" + "ff" * 30 + "7f",  # y = p
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"},
        {"kty": "oct", "k": "c2VjcmV0"},
        {},
        [],
        7,
        None,
    ],
    ids=repr,
)
def test_what_is_no_sound_public_key_is_refused(client: WireClient, public_key: Any) -> None:
    answer = post(client, {"public_key": public_key, "client_id": "x"})
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] in ("INVALID_PUBLIC_KEY", "VALIDATION_FAILED")
    assert not Client.objects.exists()
    assert not AuditEvent.objects.exists()


def test_a_client_is_registered_once_and_told_how_to_rotate(client: WireClient) -> None:
    post(client, {"client_id": "billing", "public_key": Signer().public_hex})
    answer = post(client, {"client_id": "billing", "public_key": Signer().public_hex})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (409, "CLIENT_ALREADY_REGISTERED")
    assert "rotate" in error["message"]
    assert Key.objects.count() == 1


@pytest.mark.parametrize("fate", ["pending", "rejected", "revoked"])
def test_a_public_key_is_registered_once_ever(client: WireClient, fate: str) -> None:
    signer = Signer()
    post(client, {"client_id": "first", "public_key": signer.public_hex})
    key = Key.objects.get()
    if fate == "rejected":
        lifecycle.reject(key, actor=Actor.system(), reason="no")
    elif fate == "revoked":
        lifecycle.revoke(key, actor=Actor.system())
    answer = post(client, {"client_id": "second", "public_key": signer.public_hex})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "DUPLICATE_PUBLIC_KEY")
    assert not Client.objects.filter(client_id="second").exists(), "nothing is half written"


def test_every_problem_of_the_metadata_is_listed(client: WireClient) -> None:
    metadata = {f"k{number}": "v" for number in range(11)} | {"long": "x" * 256, "nested": {"a": 1}}
    answer = post(client, {"public_key": Signer().public_hex, "metadata": metadata})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "INVALID_METADATA")
    assert len(error["details"]["problems"]) == 3
    assert not Client.objects.exists()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "MALFORMED_JSON"),
        (b"\xff\xfe", 400, "MALFORMED_JSON"),
        (b'{"public_key": NaN}', 400, "MALFORMED_JSON"),
        (b'{"public_key": "a", "public_key": "b"}', 400, "MALFORMED_JSON"),
        (b"[" * 100_000, 400, "MALFORMED_JSON"),
        (b"[]", 422, "VALIDATION_FAILED"),
        (b'"text"', 422, "VALIDATION_FAILED"),
        (b"null", 422, "VALIDATION_FAILED"),
        (b"", 422, "VALIDATION_FAILED"),
        (b'{"public_key": "aa", "client_id": "no spaces"}', 422, "VALIDATION_FAILED"),
        (b'{"public_key": "aa", "client_id": 7}', 422, "VALIDATION_FAILED"),
        (b'{"public_key": "aa", "key_name": "bell\\u0007"}', 422, "VALIDATION_FAILED"),
        (b'{"public_key": "aa", "pubilc": 1}', 422, "VALIDATION_FAILED"),
        (json.dumps({f"f{n}": 1 for n in range(10_000)}).encode(), 422, "VALIDATION_FAILED"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_hostile_bodies_get_a_clear_refusal(client: WireClient, body: bytes, status: int, code: str) -> None:
    answer = client.post(URL, body, content_type="application/json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["success"] is False
    assert len(answer.content) < 10_000
    assert not Client.objects.exists()


def test_other_media_types_are_refused(client: WireClient) -> None:
    answer = client.post(URL, b"public_key=aa", content_type="application/x-www-form-urlencoded")
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_closed_takes_nobody(client: WireClient, settings: Any) -> None:
    settings.DATAFOLD_REGISTRATION_POLICY = "closed"
    answer = post(client, {"public_key": Signer().public_hex})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "REGISTRATION_CLOSED")


def test_open_makes_a_key_active_at_once(client: WireClient, settings: Any) -> None:
    settings.DATAFOLD_REGISTRATION_POLICY = "open"
    signer = Signer("quick")
    assert (
        post(client, {"client_id": "quick", "public_key": signer.public_hex}).json()["data"]["status"]
        == "active"
    )
    assert SignedClient(signer).call("GET", "/api/v1/auth/me").status_code == 200


class TestEnrolmentTokens:
    @pytest.fixture
    def operator(self) -> User:
        return User.objects.create_user("olivia")

    def test_invite_wants_a_token(self, client: WireClient, settings: Any) -> None:
        settings.DATAFOLD_REGISTRATION_POLICY = "invite"
        answer = post(client, {"public_key": Signer().public_hex})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "ENROLMENT_TOKEN_INVALID")

    def test_a_token_counts_once(self, client: WireClient, settings: Any, operator: User) -> None:
        settings.DATAFOLD_REGISTRATION_POLICY = "invite"
        row, token = issue_token(issued_by=operator)
        answer = post(client, {"public_key": Signer().public_hex, "enrolment_token": token})
        assert answer.json()["data"]["status"] == "active"
        row.refresh_from_db()
        assert str(row.used_for_id) == answer.json()["data"]["registration_id"]
        again = post(client, {"public_key": Signer().public_hex, "enrolment_token": token})
        assert again.json()["error"]["code"] == "ENROLMENT_TOKEN_INVALID"

    def test_a_refused_registration_does_not_spend_the_token(
        self, client: WireClient, operator: User
    ) -> None:
        row, token = issue_token(issued_by=operator)
        post(client, {"client_id": "taken", "public_key": Signer().public_hex})
        answer = post(
            client, {"client_id": "taken", "public_key": Signer().public_hex, "enrolment_token": token}
        )
        assert answer.json()["error"]["code"] == "CLIENT_ALREADY_REGISTERED"
        row.refresh_from_db()
        assert row.used_at is None

    def test_an_expired_token_does_not_count(self, client: WireClient, operator: User) -> None:
        _, token = issue_token(issued_by=operator, lifetime=timedelta(seconds=-1))
        answer = post(client, {"public_key": Signer().public_hex, "enrolment_token": token})
        assert answer.json()["error"]["code"] == "ENROLMENT_TOKEN_INVALID"

    def test_a_clients_token_gives_it_a_new_key(self, client: WireClient, operator: User) -> None:
        register_active("lost-its-key")
        owner = Client.objects.get(client_id="lost-its-key")
        _, token = issue_token(issued_by=operator, client=owner)
        signer = Signer("lost-its-key")
        post(client, {"client_id": "lost-its-key", "public_key": signer.public_hex, "enrolment_token": token})
        assert SignedClient(signer).call("GET", "/api/v1/auth/me").status_code == 200

    def test_the_token_itself_is_not_kept(self, operator: User) -> None:
        row, token = issue_token(issued_by=operator)
        assert token not in str(vars(row))
        assert not AuditEvent.objects.filter(after__icontains=token).exists()

    @pytest.mark.django_db(transaction=True)
    def test_two_at_once_cannot_share_a_token(self) -> None:
        operator = User.objects.create_user("olivia")
        _, token = issue_token(issued_by=operator)
        barrier, codes = Barrier(2), []

        def enrol() -> None:
            barrier.wait(timeout=10)
            try:
                answer = post(WireClient(), {"public_key": Signer().public_hex, "enrolment_token": token})
                codes.append(answer.status_code)
            finally:
                connection.close()

        threads = [Thread(target=enrol) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)
        assert sorted(codes) == [200, 403]
        assert Key.objects.count() == 1
        assert EnrolmentToken.objects.filter(used_at__lte=timezone.now()).count() == 1


class TestProofOfPossession:
    def test_a_registration_signed_by_the_new_key_is_marked_as_proven(self) -> None:
        signer = Signer("proven")
        body = {"client_id": "proven", "public_key": signer.public_hex}
        answer = WireClient().send(signer.sign("POST", ORIGIN + URL, json_body=body))
        assert answer.status_code == 200
        assert answer.json()["data"]["proven"] is True

    def test_a_signature_by_another_key_is_refused(self) -> None:
        body = {"client_id": "liar", "public_key": Signer().public_hex}
        answer = WireClient().send(Signer("liar").sign("POST", ORIGIN + URL, json_body=body))
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "SIGNATURE_VERIFICATION_FAILED")
        assert not Client.objects.exists()

    def test_a_body_that_was_changed_is_refused(self) -> None:
        signer = Signer("tampered")
        signed = signer.sign(
            "POST", ORIGIN + URL, json_body={"client_id": "tampered", "public_key": signer.public_hex}
        )
        signed.content = signed.content.replace(b"tampered", b"attacker")
        answer = WireClient().send(signed)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "DIGEST_MISMATCH")


def test_the_limit_per_address_holds(client: WireClient, settings: Any) -> None:
    settings.DATAFOLD_REGISTRATION_RATE = "3/hour"
    codes = [post(client, {"public_key": Signer().public_hex}).status_code for _ in range(4)]
    assert codes == [200, 200, 200, 429]
    answer = post(client, {"public_key": Signer().public_hex})
    assert answer.json()["error"]["code"] == "RATE_LIMITED"
    assert 0 < int(answer["Retry-After"]) <= 3601
