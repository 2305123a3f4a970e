"""What a client can see of and do with its own keys, and others cannot."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.audit import Actor
from accounts.models import Client
from keys import epochs, lifecycle, rotation
from keys.models import Key
from tests.support.client import ORIGIN, SignedClient, WireClient
from tests.support.registered import public_key, register_active, register_pending
from tests.support.signing import Signer

pytestmark = pytest.mark.django_db


class TestStatus:
    def test_anybody_sees_that_approval_came(self, client: WireClient) -> None:
        register_pending("waiting")
        url = "/api/v1/crypto/keys/status/waiting"
        assert client.get(url).json()["data"] == {"client_id": "waiting", "status": "pending"}
        lifecycle.approve(Key.objects.get(), actor=Actor.system())
        assert client.get(url).json()["data"] == {"client_id": "waiting", "status": "active"}

    def test_why_a_key_does_not_count_is_not_told_to_strangers(self, client: WireClient) -> None:
        register_active("gone")
        lifecycle.revoke(Key.objects.get(), actor=Actor.system(), reason="stolen laptop")
        answer = client.get("/api/v1/crypto/keys/status/gone")
        assert answer.json()["data"] == {"client_id": "gone", "status": "inactive"}

    def test_the_client_itself_sees_everything(self, signed_client: SignedClient) -> None:
        answer = signed_client.call("GET", "/api/v1/crypto/keys/status/signed-client")
        data = answer.json()["data"]
        assert data["status"] == "active"
        assert data["thumbprint"] == data["keys"][0]["thumbprint"]
        assert data["usage_count"] is not None

    def test_another_client_sees_the_status_only(self, signed_client: SignedClient) -> None:
        register_active("other")
        data = signed_client.call("GET", "/api/v1/crypto/keys/status/other").json()["data"]
        assert data == {"client_id": "other", "status": "active"}

    def test_an_unknown_client_is_a_404(self, client: WireClient) -> None:
        answer = client.get("/api/v1/crypto/keys/status/nobody")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


class TestUpdateAndRevoke:
    def test_a_client_names_its_key(self, signed_client: SignedClient) -> None:
        answer = signed_client.call(
            "PUT",
            "/api/v1/crypto/keys/update/signed-client",
            {"key_name": "new name", "metadata": {"team": "a"}},
        )
        assert answer.status_code == 200
        assert answer.json()["data"]["key_name"] == "new name"
        assert answer.json()["meta"]["updated_by"] == "signed-client"

    @pytest.mark.parametrize(("method", "call"), [("PUT", "update"), ("DELETE", "revoke")])
    def test_nobody_elses_key(self, signed_client: SignedClient, method: str, call: str) -> None:
        register_active("victim")
        answer = signed_client.call(method, f"/api/v1/crypto/keys/{call}/victim", {})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "KEY_NOT_FOUND")
        assert Key.objects.get(client__client_id="victim").status == "active"

    def test_a_revoked_key_is_refused_at_the_next_request(self, signed_client: SignedClient) -> None:
        answer = signed_client.call(
            "DELETE", "/api/v1/crypto/keys/revoke/signed-client", {"reason": "keyCompromise"}
        )
        assert answer.json()["data"]["status"] == "revoked"
        assert answer.json()["meta"]["deleted_by"] == "signed-client"
        refused = signed_client.call("GET", "/api/v1/auth/me")
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "KEY_REVOKED")

    def test_a_reason_that_is_none_is_refused(self, signed_client: SignedClient) -> None:
        answer = signed_client.call("DELETE", "/api/v1/crypto/keys/revoke/signed-client", {"reason": "bored"})
        assert answer.status_code == 422
        assert Key.objects.get().status == "active"


class TestRotation:
    URL = "/api/v1/crypto/keys/rotate"

    def rotate(self, old: Signer, new: Signer, body: Any = None, *, sign_new: Signer | None = None) -> Any:
        body = {"public_key": new.public_hex} | (body or {})
        content = json.dumps(body).encode()
        first = old.sign("POST", ORIGIN + self.URL, content=content, label="sig1", tag="datafold")
        signed = (sign_new or new).sign(
            "POST", ORIGIN + self.URL, content=content, label="sig2", tag="datafold-new-key"
        )
        for name in ("Signature", "Signature-Input"):
            signed.headers[name] = f"{first.headers[name]}, {signed.headers[name]}"
        return WireClient().send(signed)

    def test_the_new_key_takes_over_and_the_old_one_has_its_grace(self) -> None:
        old, new = register_active("rotator"), Signer("rotator")
        answer = self.rotate(old, new, {"grace_seconds": 3600})
        assert answer.status_code == 200, answer.content
        assert answer.json()["meta"]["action"] == "key_rotated"
        for signer in (old, new):
            assert SignedClient(signer).call("GET", "/api/v1/auth/me").status_code == 200
        before = Key.objects.get(status="retiring")
        assert before.successor is not None
        assert before.successor.status == "active"
        assert before.retire_at is not None
        assert timedelta(minutes=59) < before.retire_at - timezone.now() <= timedelta(hours=1)

    def test_without_grace_the_old_key_ends_at_once(self) -> None:
        old, new = register_active("rotator"), Signer("rotator")
        self.rotate(old, new, {"grace_seconds": 0})
        refused = SignedClient(old).call("GET", "/api/v1/auth/me")
        assert refused.json()["error"]["code"] == "KEY_NOT_ACTIVE"
        assert SignedClient(new).call("GET", "/api/v1/auth/me").status_code == 200

    def test_the_new_keys_own_signature_is_needed(self) -> None:
        old, new = register_active("rotator"), Signer("rotator")
        answer = SignedClient(old).call("POST", self.URL, {"public_key": new.public_hex})
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "SIGNATURE_MISSING")
        assert "datafold-new-key" in answer.json()["error"]["message"]
        forged = self.rotate(old, new, sign_new=Signer("rotator"))
        assert forged.json()["error"]["code"] == "SIGNATURE_VERIFICATION_FAILED"
        assert Key.objects.count() == 1

    def test_a_stolen_new_key_alone_rotates_nothing(self) -> None:
        register_active("rotator")
        thief = Signer("rotator")
        answer = self.rotate(thief, thief)
        assert answer.json()["error"]["code"] == "SIGNATURE_VERIFICATION_FAILED"

    def test_a_key_is_rotated_once(self) -> None:
        old = register_active("rotator")
        assert self.rotate(old, Signer("rotator")).status_code == 200
        again = self.rotate(old, Signer("rotator"))
        assert (again.status_code, again.json()["error"]["code"]) == (409, "KEY_STATE_CONFLICT")
        assert Key.objects.count() == 2

    def test_a_key_that_was_rolled_back_is_rotated_again_once_its_successor_is_final(self) -> None:
        signer, first, second = register_active("rotator"), Signer("rotator"), Signer("rotator")
        operators = Actor.system("tests")
        self.rotate(signer, first)
        old = Key.objects.select_related("client").get(status="retiring")
        lifecycle.roll_back_retirement(old, actor=operators, reason="the new one fails")
        refused = self.rotate(signer, second)
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "KEY_STATE_CONFLICT")
        assert "revoke it" in refused.json()["error"]["message"]
        failed = Key.objects.select_related("client").get(replaces=old)
        lifecycle.revoke(failed, actor=operators)
        assert self.rotate(signer, second).status_code == 200
        old.refresh_from_db()
        assert old.status == "retiring"
        assert old.successor == Key.objects.get(replaces=old, status="active")
        assert SignedClient(second).call("GET", "/api/v1/auth/me").status_code == 200

    def test_the_scope_is_needed(self) -> None:
        old = register_active("rotator", scopes=["schemas:read"])
        answer = self.rotate(old, Signer("rotator"))
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "SCOPE_MISSING")


class TestDetachedSignatures:
    URL = "/api/v1/crypto/signatures/verify"

    def verdict(self, client: WireClient, **body: Any) -> Any:
        return client.post(self.URL, json.dumps(body), content_type="application/json")

    @pytest.mark.parametrize("encoding", ["utf-8", "hex", "base64"])
    def test_a_signature_of_a_registered_client_holds(self, client: WireClient, encoding: str) -> None:
        import base64

        signer, message = register_active("detached"), b"hello"
        text = {"utf-8": "hello", "hex": message.hex(), "base64": base64.b64encode(message).decode()}[
            encoding
        ]
        signature = signer.private_key.sign(message)
        for written in (signature.hex(), base64.b64encode(signature).decode()):
            answer = self.verdict(
                client, client_id="detached", message=text, signature=written, message_encoding=encoding
            )
            assert answer.json()["data"]["valid"] is True

    def test_anything_else_does_not_and_tells_nothing(self, client: WireClient) -> None:
        signer = register_active("detached")
        signature = signer.private_key.sign(b"hello").hex()
        other = self.verdict(client, client_id="detached", message="other", signature=signature)
        assert other.json()["data"]["valid"] is False
        lifecycle.revoke(Key.objects.get(), actor=Actor.system())
        revoked = self.verdict(client, client_id="detached", message="hello", signature=signature)
        unknown = self.verdict(client, client_id="nobody", message="hello", signature=signature)
        assert revoked.json()["data"] == unknown.json()["data"] | {"client_id": "detached"}

    def test_bad_encodings_are_named(self, client: WireClient) -> None:
        answer = self.verdict(client, client_id="x", message="zz", signature="00", message_encoding="hex")
        assert answer.status_code == 422
        assert "message" in answer.json()["error"]["details"]["fields"]


class TestStanding:
    """What a client whose signature holds is told about its state."""

    def call(self, signer: Signer) -> tuple[int, str]:
        answer = SignedClient(signer).call("GET", "/api/v1/auth/me")
        body = answer.json()
        return answer.status_code, body["error"]["code"] if body["error"] else ""

    def test_pending_suspended_and_back(self) -> None:
        signer = register_pending("s")
        key = Key.objects.get()
        assert self.call(signer) == (403, "KEY_NOT_ACTIVE")
        lifecycle.approve(key, actor=Actor.system())
        assert self.call(signer) == (200, "")
        lifecycle.suspend(key, actor=Actor.system(), reason="noise")
        assert self.call(signer) == (403, "KEY_NOT_ACTIVE")
        lifecycle.reactivate(key, actor=Actor.system(), reason="quiet")
        assert self.call(signer) == (200, "")

    def test_expiry_holds_before_any_job_has_run(self) -> None:
        signer = register_pending("s")
        lifecycle.approve(
            Key.objects.get(), actor=Actor.system(), expires_at=timezone.now() - timedelta(seconds=1)
        )
        assert self.call(signer) == (403, "KEY_EXPIRED")

    def test_a_rejected_client_reads_why(self) -> None:
        signer = register_pending("s")
        lifecycle.reject(Key.objects.get(), actor=Actor.system(), reason="wrong environment")
        answer = SignedClient(signer).call("GET", "/api/v1/auth/me")
        assert answer.json()["error"]["code"] == "KEY_NOT_ACTIVE"
        assert "wrong environment" in answer.json()["error"]["message"]

    def test_the_operators_words_are_for_the_client_where_they_cut_off_its_key(self) -> None:
        """Whoever holds any other key of the client may ask, a thief too."""
        signer, other = register_active("s"), Signer("s")
        actor = Actor.system()
        first = Key.objects.select_related("client").get()
        second = rotation.rotate(first, public_key=public_key(other), actor=actor)
        asks = SignedClient(other)

        def told() -> list[str]:
            data = asks.call("GET", "/api/v1/crypto/keys/status/s").json()["data"]
            return [data["decision_reason"], *(key["decision_reason"] for key in data["keys"])]

        lifecycle.roll_back_retirement(first, actor=actor, reason="we watch the new one")
        assert set(told()) == {""}
        lifecycle.suspend(first, actor=actor, reason="floods the staging server")
        assert "floods the staging server" in told()
        signer.key_id = first.thumbprint
        refused = SignedClient(signer).call("GET", "/api/v1/auth/me").json()["error"]
        assert (refused["code"], "floods the staging server" in refused["message"]) == (
            "KEY_NOT_ACTIVE",
            True,
        )
        lifecycle.revoke(first, actor=actor, reason="the intern took it")
        assert set(told()) == {""}
        assert second.status == "active"

    def change(self, **changes: Any) -> None:
        client = Client.objects.get(client_id="s")
        Client.objects.filter(pk=client.pk).update(**changes)
        epochs.advance(client)

    def test_suspended_client_network_and_scope(self) -> None:
        signer = register_active("s")
        self.change(status="suspended", status_reason="unpaid")
        assert self.call(signer) == (403, "CLIENT_SUSPENDED")
        self.change(status="active", allowed_networks=["10.0.0.0/8"])
        assert self.call(signer) == (403, "NETWORK_NOT_ALLOWED")
        self.change(allowed_networks=["127.0.0.0/8"])
        assert self.call(signer) == (200, "")

    def test_to_anybody_else_it_is_a_wrong_signature(self) -> None:
        register_active("s")
        stranger = Signer("s")
        for status in ("active", "suspended"):
            self.change(status=status)
            assert self.call(stranger) == (401, "SIGNATURE_VERIFICATION_FAILED")
        lifecycle.revoke(Key.objects.get(), actor=Actor.system())
        assert self.call(stranger) == (401, "SIGNATURE_VERIFICATION_FAILED")

    def test_a_clients_own_rate_limit(self) -> None:
        signer = register_active("s")
        self.change(rate_limit=2)
        codes = [self.call(signer)[0] for _ in range(3)]
        assert codes == [200, 200, 429] or codes[-1] in (200, 429), "the minute may turn in between"

    def test_keyid_may_be_the_thumbprint(self) -> None:
        signer = register_active("s")
        signer.key_id = Key.objects.get().thumbprint
        assert self.call(signer) == (200, "")
