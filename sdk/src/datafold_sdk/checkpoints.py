"""Checkpoints of a server's audit log: signed, chained, and with proofs that an event lies under one.

Whoever keeps a checkpoint can tell later whether the log was rewritten, cut or reordered before it.
`pinning` keeps one in a file and follows the server's log from there.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

import rfc8785
from cryptography.exceptions import InvalidSignature as CryptographicMismatch
from http_message_signatures import HTTPMessageSignaturesException

from .errors import InvalidKeyError, VerificationError
from .keys import ALGORITHMS, algorithms_for, jwk_thumbprint, load_public_jwk
from .verification import ServerKeys

CHECKPOINT_TYPE: Final = "datafold-audit-checkpoint/1"
NO_CHECKPOINT: Final = "0" * 64
#: Members of a document that are not signed.
_UNSIGNED: Final = frozenset({"hash", "signature", "jwk"})
_MAX_PATH: Final = 64


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose own signature holds. Whose key that is, `verify_checkpoint` tells.

    Attributes:
        number: 1, 2, 3 … without a gap.
        tree_size: events sealed up to and with this checkpoint.
        root: root of the batch's Merkle tree (RFC 6962 section 2.1), hexadecimal.
        previous: hash of the checkpoint before; zeros for the first.
        hash: SHA-256 of what is signed, hexadecimal.
        key_id: thumbprint of the server key that signed.
        document: as the server gave it.
    """

    number: int
    batch_size: int
    tree_size: int
    root: str
    previous: str
    hash: str
    key_id: str
    sealed_at: datetime
    document: Mapping[str, Any]

    @classmethod
    def from_document(cls, document: Any) -> Self:
        """Read a checkpoint and check its signature under the key that it carries.

        Raises:
            VerificationError: it is none, or was changed after it was signed.
        """
        if not isinstance(document, Mapping) or document.get("type") != CHECKPOINT_TYPE:
            raise _invalid("it is not a checkpoint of an audit log")
        facts = {name: value for name, value in document.items() if name not in _UNSIGNED}
        try:
            body = rfc8785.dumps(facts)
            _check_signature(document, body)
            digest = hashlib.sha256(body).hexdigest()
            if document.get("hash", digest) != digest:
                raise _invalid("its hash is not that of what it says")
            return cls(
                number=_count(document, "number"),
                batch_size=_count(document, "batch_size"),
                tree_size=_count(document, "tree_size"),
                root=_hash(document, "root"),
                previous=_hash(document, "previous"),
                hash=digest,
                key_id=document["keyid"],
                sealed_at=datetime.fromisoformat(document["sealed_at"]),
                document=dict(document),
            )
        except InvalidKeyError as exc:
            raise _invalid(exc.message) from exc
        except (KeyError, TypeError, ValueError, RecursionError, rfc8785.CanonicalizationError) as exc:
            raise _invalid("a member is missing or malformed") from exc

    def follows(self, older: Checkpoint) -> bool:
        """Whether `older` is the checkpoint right before this one."""
        return (
            self.number == older.number + 1
            and self.previous == older.hash
            and self.tree_size == older.tree_size + self.batch_size
        )


def verify_checkpoint(document: Any, keys: ServerKeys) -> Checkpoint:
    """Read a checkpoint that one of the server's published keys has signed.

    Args:
        document: the `data` of GET audit/checkpoints/latest.

    Raises:
        VerificationError: it was changed, or the key is not in the server's directory.
    """
    checkpoint = Checkpoint.from_document(document)
    if keys.find(checkpoint.key_id) is None:
        raise VerificationError(
            f"The checkpoint {checkpoint.number} was signed by {checkpoint.key_id}, which is not in the key "
            "directory. If the server has just rotated its key, try again in a minute.",
            code="UNKNOWN_SERVER_KEY",
        )
    return checkpoint


def verify_chain(newest_first: Iterable[Checkpoint], pinned: Checkpoint) -> list[Checkpoint]:
    """Check that the chain leads back to the pinned checkpoint; what came after it, newest first.

    Args:
        newest_first: from a verified checkpoint down to the pinned one's number, without a gap.

    Raises:
        VerificationError: AUDIT_LOG_CUT, or AUDIT_LOG_REWRITTEN at the first checkpoint that does not fit.
    """
    after: list[Checkpoint] = []
    newer: Checkpoint | None = None
    for checkpoint in newest_first:
        if newer is None and checkpoint.number < pinned.number:
            raise VerificationError(
                f"The server's latest checkpoint is {checkpoint.number}, and {pinned.number} is pinned: the end of the "
                "audit log was cut off.",
                code="AUDIT_LOG_CUT",
            )
        if newer is not None and not newer.follows(checkpoint):
            raise _rewritten(newer.number)
        if checkpoint.number == pinned.number:
            if checkpoint.hash != pinned.hash:
                raise _rewritten(pinned.number)
            return after
        newer = checkpoint
        after.append(checkpoint)
    raise _rewritten(pinned.number)


def verify_inclusion(proof: Mapping[str, Any], trusted: Checkpoint | ServerKeys) -> Checkpoint:
    """Check offline that an event was sealed as it stands.

    Args:
        proof: the `data` of GET audit/events/{id}/proof, or the whole envelope.
        trusted: the very checkpoint that the event lies under, or the keys of the server that signed it.

    Returns:
        The checkpoint that the event lies under.

    Raises:
        VerificationError: PROOF_INVALID: the event, its place, the path or the checkpoint was changed.
    """
    if "event" not in proof and isinstance(proof.get("data"), Mapping):
        proof = proof["data"]
    if isinstance(trusted, ServerKeys):
        checkpoint = verify_checkpoint(proof.get("checkpoint"), trusted)
    else:
        checkpoint = Checkpoint.from_document(proof.get("checkpoint"))
        if checkpoint.hash != trusted.hash:
            raise _proof_invalid("it is under another checkpoint than the trusted one")
    try:
        event = proof["event"]
        if not isinstance(event, Mapping):
            raise TypeError("event")
        leaf = event_leaf(event)
        path = [bytes.fromhex(node) for node in proof["path"]]
        index = proof["index"]
        if type(index) is not int or len(path) > _MAX_PATH:
            raise ValueError("index")
    except (KeyError, TypeError, ValueError, RecursionError) as exc:
        raise _proof_invalid("a member is missing or malformed") from exc
    if root_from_path(leaf, index, checkpoint.batch_size, path) != bytes.fromhex(checkpoint.root):
        raise _proof_invalid("the event does not lead to the checkpoint's root")
    return checkpoint


def event_leaf(event: Mapping[str, Any]) -> bytes:
    """The leaf hash of an event: SHA-256 over 0x00 and its RFC 8785 JSON."""
    data = rfc8785.dumps({name: _canonical(value) for name, value in event.items()})
    return hashlib.sha256(b"\x00" + data).digest()


def root_from_path(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes | None:
    """The root that an audit path (RFC 6962 section 2.1.1) leads to; None if it does not fit the place."""
    if not 0 <= index < size:
        return None
    rest, last, top = list(path), size - 1, leaf
    while last:
        if index % 2 or index < last:
            if not rest:
                return None
            sibling = rest.pop(0)
            pair = sibling + top if index % 2 else top + sibling
            top = hashlib.sha256(b"\x01" + pair).digest()
        index, last = index // 2, last // 2
    return None if rest else top


def _canonical(value: Any) -> Any:
    """As the server seals it: a value that RFC 8785 has no bytes for becomes its JSON text."""
    try:
        rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        return {"$json": json.dumps(value, sort_keys=True)}
    return value


def _check_signature(document: Mapping[str, Any], body: bytes) -> None:
    jwk, algorithm = dict(document["jwk"]), document["alg"]
    key = load_public_jwk(jwk)
    if jwk_thumbprint(jwk) != document["keyid"] or algorithm not in algorithms_for(key):
        raise _invalid("its key is not the one that it names")
    make_verifier: Any = ALGORITHMS[algorithm]
    try:
        signature = b64decode(document["signature"], validate=True)
        make_verifier(public_key=key).verify(signature=signature, message=body)
    except (CryptographicMismatch, HTTPMessageSignaturesException):
        raise _invalid("its signature does not hold") from None


def _count(document: Mapping[str, Any], name: str) -> int:
    value = document[name]
    if type(value) is not int or value < 1:
        raise ValueError(name)
    return value


def _hash(document: Mapping[str, Any], name: str) -> str:
    value: str = document[name]
    if len(bytes.fromhex(value)) != hashlib.sha256().digest_size:
        raise ValueError(name)
    return value


def _invalid(why: str) -> VerificationError:
    return VerificationError(f"The checkpoint does not hold: {why.rstrip('.')}.", code="CHECKPOINT_INVALID")


def _proof_invalid(why: str) -> VerificationError:
    return VerificationError(f"The proof does not hold: {why}.", code="PROOF_INVALID")


def _rewritten(number: int) -> VerificationError:
    return VerificationError(
        f"The audit log was rewritten: the chain of checkpoints breaks at {number}.",
        code="AUDIT_LOG_REWRITTEN",
    )
