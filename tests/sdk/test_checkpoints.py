"""Checkpoints of an audit log, made here by hand and then rewritten, cut and forged."""

from __future__ import annotations

import copy
import hashlib
import json
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from datafold_sdk import (
    Checkpoint,
    CheckpointPin,
    ConfigurationError,
    DataFoldClient,
    PrivateKey,
    ServerKeys,
    VerificationError,
    verify_chain,
    verify_checkpoint,
    verify_inclusion,
)

from tests.sdk.server import Received, Reply, Server, refusal, success

EVENT = {"id": 1, "action": "key.approved", "after": {"status": "active"}, "reason": "ö", "leaf_version": 1}


def leaf(event: dict[str, Any]) -> bytes:
    return hashlib.sha256(b"\x00" + rfc8785.dumps(event)).digest()


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class Log:
    """A server's log: three events in each batch."""

    def __init__(self) -> None:
        self.key = PrivateKey.generate()
        self.documents: list[dict[str, Any]] = []
        self.events: list[list[dict[str, Any]]] = []

    @property
    def keys(self) -> ServerKeys:
        return ServerKeys.from_jwks(self.jwks)

    @property
    def jwks(self) -> dict[str, Any]:
        return {"keys": [{**self.key.public_jwk, "kid": self.key.thumbprint}]}

    def seal(self, count: int = 1) -> dict[str, Any]:
        for _ in range(count):
            batch = [{**EVENT, "id": 3 * len(self.documents) + place} for place in (1, 2, 3)]
            first, second, third = map(leaf, batch)
            last = self.documents[-1] if self.documents else None
            facts = {
                "type": "datafold-audit-checkpoint/1",
                "number": len(self.documents) + 1,
                "batch_size": 3,
                "tree_size": 3 * (len(self.documents) + 1),
                "root": node(node(first, second), third).hex(),
                "previous": last["hash"] if last else "0" * 64,
                "sealed_at": "2030-01-01T00:00:00.000000Z",
                "complete_until": None,
                "keyid": self.key.thumbprint,
                "alg": "ed25519",
            }
            self.events.append(batch)
            self.documents.append(self.signed(facts))
        return self.documents[-1]

    def signed(self, facts: dict[str, Any]) -> dict[str, Any]:
        body = rfc8785.dumps(facts)
        signature: Any = self.key.key.sign(body)  # type: ignore[call-arg]
        return {
            **facts,
            "hash": hashlib.sha256(body).hexdigest(),
            "signature": b64encode(signature).decode(),
            "jwk": self.key.public_jwk,
        }

    def proof(self, number: int, index: int) -> dict[str, Any]:
        batch = self.events[number - 1]
        first, second, third = map(leaf, batch)
        paths = [[second, third], [first, third], [node(first, second)]]
        return {
            "event": batch[index],
            "leaf_hash": leaf(batch[index]).hex(),
            "index": index,
            "path": [each.hex() for each in paths[index]],
            "checkpoint": self.documents[number - 1],
        }

    def answer(self, received: Received) -> Reply:
        path, _, query = received.url.split("/", 3)[3].partition("?")
        if path.startswith(".well-known"):
            return Reply(200, self.jwks)
        if path.endswith("/latest"):
            return success(self.documents[-1])
        if path.endswith("/proof"):
            number = int(path.split("/")[-2]) - 1
            return success(self.proof(number // 3 + 1, number % 3))
        if path.endswith("/checkpoints"):
            # Two on each page.
            end = int(query.split("cursor=")[1].split("&")[0]) if "cursor=" in query else len(self.documents)
            rows = self.documents[max(0, end - 2) : end][::-1]
            more = str(end - 2) if end > 2 else None
            envelope: dict[str, Any] = {"success": True, "data": rows, "error": None}
            return Reply(200, {**envelope, "meta": {"pagination": {"next_cursor": more}}})
        return refusal(404, "NOT_FOUND")


@pytest.fixture
def log(server: Server) -> Log:
    log = Log()
    server.answer = log.answer
    return log


@pytest.fixture
def pin(tmp_path: Path) -> CheckpointPin:
    return CheckpointPin(tmp_path / "kept" / "checkpoint.json")


def test_a_checkpoint_of_the_servers_key_holds(log: Log) -> None:
    checkpoint = verify_checkpoint(log.seal(2), log.keys)
    assert (checkpoint.number, checkpoint.tree_size) == (2, 6)
    with pytest.raises(VerificationError) as caught:
        verify_checkpoint(log.documents[-1], Log().keys)
    assert caught.value.code == "UNKNOWN_SERVER_KEY"


@pytest.mark.parametrize(
    "change",
    [
        {"root": "0" * 64},
        {"tree_size": 4},
        {"number": "1"},
        {"keyid": "x"},
        {"signature": "AAAA"},
        {"signature": "%"},
        {"jwk": {"kty": "OKP"}},
        {"jwk": None},
        {"type": "other"},
        {"alg": "rsa-pss-sha512"},
        {"sealed_at": "soon"},
        {"hash": "0" * 64},
        {"extra": float("nan")},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_checkpoint_does_not(log: Log, change: dict[str, Any]) -> None:
    with pytest.raises(VerificationError) as caught:
        Checkpoint.from_document({**log.seal(), **change})
    assert caught.value.code == "CHECKPOINT_INVALID"


@pytest.mark.parametrize("document", [None, [], "x", {}])
def test_what_is_no_checkpoint_is_refused(document: Any) -> None:
    with pytest.raises(VerificationError):
        Checkpoint.from_document(document)


def test_the_pin_follows_the_log(client: DataFoldClient, log: Log, pin: CheckpointPin) -> None:
    log.seal()
    assert pin.update(client, log.keys).number == 1
    log.seal(6)
    assert pin.check(client, log.keys).number == 7
    assert json.loads(pin.path.read_text()) == log.documents[0], "check keeps what is pinned"
    assert pin.update(client, log.keys).number == 7
    assert json.loads(pin.path.read_text()) == log.documents[-1]
    assert pin.update(client, log.keys).number == 7


def test_a_tail_that_was_cut_is_found(client: DataFoldClient, log: Log, pin: CheckpointPin) -> None:
    log.seal(3)
    pin.update(client, log.keys)
    del log.documents[-1]
    with pytest.raises(VerificationError, match="cut off") as caught:
        pin.update(client, log.keys)
    assert caught.value.code == "AUDIT_LOG_CUT"
    assert pin.load().number == 3, "what is pinned stays"  # type: ignore[union-attr]


@pytest.mark.parametrize("later", [0, 1, 4])
def test_a_log_that_was_rewritten_is_found(
    client: DataFoldClient, log: Log, pin: CheckpointPin, later: int
) -> None:
    """Whoever holds the server's key signs another history: it does not lead to what is pinned."""
    log.seal(3)
    pin.update(client, log.keys)
    log.documents, log.events = log.documents[:1], log.events[:1]
    log.documents[0] = log.signed(
        {name: value for name, value in log.documents[0].items() if name not in ("hash", "signature", "jwk")}
        | {"root": "1" * 64}
    )
    log.seal(2 + later)
    with pytest.raises(VerificationError) as caught:
        pin.update(client, log.keys)
    assert caught.value.code == "AUDIT_LOG_REWRITTEN"


def test_a_server_that_shows_newer_checkpoints_for_ever_is_left(
    client: DataFoldClient, server: Server, log: Log, pin: CheckpointPin
) -> None:
    log.seal()
    pin.update(client, log.keys)
    log.seal()
    newest = log.documents[-1]

    def answer(received: Received) -> Reply:
        if len(server.received) > 20:
            return refusal(503, "SERVICE_UNAVAILABLE")
        if "checkpoints" not in received.url or received.url.endswith("latest"):
            return log.answer(received)
        envelope = {"success": True, "data": [newest], "error": None}
        return Reply(200, {**envelope, "meta": {"pagination": {"next_cursor": "more"}}})

    server.answer = answer
    with pytest.raises(VerificationError):
        pin.check(client, log.keys)


def test_a_gap_in_the_chain_is_found(log: Log) -> None:
    log.seal(4)
    first, second, third, fourth = map(Checkpoint.from_document, log.documents)
    assert verify_chain([fourth, third, second, first], first) == [fourth, third, second]
    for broken in ([fourth, second, first], [fourth, third], [], [fourth, third, third, second, first]):
        with pytest.raises(VerificationError):
            verify_chain(broken, first)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_an_event_is_proven_offline(log: Log, index: int) -> None:
    log.seal(2)
    proof = log.proof(2, index)
    assert verify_inclusion(proof, log.keys).number == 2
    assert verify_inclusion({"data": proof}, Checkpoint.from_document(log.documents[1])).number == 2
    with pytest.raises(VerificationError):
        verify_inclusion(proof, Checkpoint.from_document(log.documents[0]))


def _changed_event(proof: dict[str, Any]) -> None:
    proof["event"]["reason"] = "another"


def _other_place(proof: dict[str, Any]) -> None:
    proof["index"] = 1


def _longer_path(proof: dict[str, Any]) -> None:
    proof["path"].append("00" * 32)


def _no_path(proof: dict[str, Any]) -> None:
    proof["path"] = ["zz"]


def _no_index(proof: dict[str, Any]) -> None:
    proof["index"] = True


def _no_event(proof: dict[str, Any]) -> None:
    proof["event"] = []


@pytest.mark.parametrize(
    "change", [_changed_event, _other_place, _longer_path, _no_path, _no_index, _no_event]
)
def test_a_changed_proof_does_not_hold(log: Log, change: Callable[[dict[str, Any]], None]) -> None:
    log.seal()
    proof = copy.deepcopy(log.proof(1, 0))
    change(proof)
    with pytest.raises(VerificationError) as caught:
        verify_inclusion(proof, log.keys)
    assert caught.value.code == "PROOF_INVALID"


def test_an_event_is_checked_against_what_is_pinned(
    client: DataFoldClient, log: Log, pin: CheckpointPin
) -> None:
    log.seal(5)
    pin.update(client, log.keys)
    assert pin.check_event(client, log.keys, 4)["id"] == 4
    log.events[1][0]["reason"] = "rewritten in the database"
    with pytest.raises(VerificationError):
        pin.check_event(client, log.keys, 4)


def test_the_proof_of_another_event_does_not_count(
    client: DataFoldClient, server: Server, log: Log, pin: CheckpointPin
) -> None:
    log.seal(2)

    def answer(received: Received) -> Reply:
        return success(log.proof(2, 1)) if received.url.endswith("/proof") else log.answer(received)

    server.answer = answer
    assert pin.check_event(client, log.keys, 5)["id"] == 5
    with pytest.raises(VerificationError, match="not 4") as caught:
        pin.check_event(client, log.keys, 4)
    assert caught.value.code == "PROOF_INVALID"


def test_a_pin_that_was_changed_or_is_unreadable_is_told(log: Log, pin: CheckpointPin) -> None:
    pin.path.parent.mkdir()
    pin.path.write_text(json.dumps({**log.seal(), "root": "0" * 64}))
    with pytest.raises(VerificationError):
        pin.load()
    pin.path.write_text("{")
    with pytest.raises(ConfigurationError):
        pin.load()
