"""``Content-Digest`` (RFC 9530): checking it against the bytes that arrived, and making it."""

import binascii
import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Any

from . import sf
from .errors import DigestMalformed, DigestMismatch, DigestMissing, StructuredFieldError
from .message import Message

_HASHES: dict[str, Callable[[bytes], Any]] = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}
_MAX_FIELD_BYTES = 2048
_FORM = "Send {field}: sha-256=:<base64 of the hash's 32 bytes>:, with the colons and in lower case."
_COMMON_LENGTH = len("sha-256=::") + 44

# For the Want-Content-Digest field of a refusal (RFC 9530 section 4).
WANT_CONTENT_DIGEST = "sha-256=10, sha-512=9"


def check_content_digest(message: Message) -> None:
    """Check ``Content-Digest`` whenever there is a body, or the field itself.

    Every sha-256 and sha-512 member must match; other algorithms are ignored, but do not count.
    Raises :class:`DigestMissing`, :class:`DigestMalformed` or :class:`DigestMismatch`.
    """
    value = message.fields.get("content-digest")
    if value is not None:
        check_digest(value, message.body)
    elif message.has_body:
        raise DigestMissing(
            "There is a body but no Content-Digest. "
            "Add Content-Digest: sha-256=:<base64>: and cover it with the signature."
        )


def check_digest(value: str, body: bytes, field: str = "Content-Digest") -> None:
    """Check the value of ``Content-Digest`` (or ``Repr-Digest``) against ``body``."""
    if _matches_common(value, body):
        return
    checked = False
    for algorithm, expected in _members(value, field).items():
        digest = _HASHES.get(algorithm)
        if digest is None:
            continue
        actual = digest(body).digest()
        if not hmac.compare_digest(actual, expected):
            raise _mismatch(field, algorithm, expected, actual, len(body))
        checked = True
    if not checked:
        raise DigestMissing(f"{field} holds no algorithm that counts. Use sha-256 or sha-512.", field=field)


class StreamDigest:
    """Checks ``Content-Digest`` against a body that is seen piece by piece.

    Raises :class:`DigestMissing` if the field is absent or names no algorithm that counts, and
    :class:`DigestMalformed`, both before the first piece.
    """

    def __init__(self, value: str | None, field: str = "Content-Digest") -> None:
        if value is None:
            raise DigestMissing("The request has a body but no Content-Digest. Add it and cover it.")
        self._field = field
        self._expected = {
            algorithm: digest for algorithm, digest in _members(value, field).items() if algorithm in _HASHES
        }
        if not self._expected:
            raise DigestMissing(
                f"{field} holds no algorithm that counts. Use sha-256 or sha-512.", field=field
            )
        self._hashes = {algorithm: _HASHES[algorithm](b"") for algorithm in self._expected}
        self.length = 0

    def update(self, piece: bytes) -> None:
        """Take in the next bytes of the body."""
        self.length += len(piece)
        for running in self._hashes.values():
            running.update(piece)

    def check(self) -> None:
        """After the last piece. Raises :class:`DigestMismatch`."""
        for algorithm, expected in self._expected.items():
            actual = self._hashes[algorithm].digest()
            if not hmac.compare_digest(actual, expected):
                raise _mismatch(self._field, algorithm, expected, actual, self.length)


def _matches_common(value: str, body: bytes) -> bool:
    """Whether the field is one sha-256 member in canonical spelling that matches."""
    if len(value) != _COMMON_LENGTH or not value.startswith("sha-256=:") or value[-1] != ":":
        return False
    try:
        expected = binascii.a2b_base64(value[9:-1], strict_mode=True)
    except ValueError:
        return False
    return hmac.compare_digest(hashlib.sha256(body).digest(), expected)


def content_digest(body: bytes, algorithms: Sequence[str] = ("sha-256",)) -> str:
    """The ``Content-Digest`` value for ``body``; algorithms are ``sha-256`` and ``sha-512``."""
    return ", ".join(f"{name}=:{_base64(_HASHES[name](body).digest())}:" for name in algorithms)


def _members(value: str, field: str) -> dict[str, bytes]:
    if len(value) > _MAX_FIELD_BYTES:
        raise DigestMalformed(
            f"{field} has {len(value)} bytes; the limit is {_MAX_FIELD_BYTES}.", field=field
        )
    try:
        members = sf.parse_dictionary(value, unique=True)
    except StructuredFieldError as error:
        raise DigestMalformed(
            f"{field}: {error.message} {_FORM.format(field=field)}", field=field, **error.details
        ) from None
    digests: dict[str, bytes] = {}
    for algorithm, member in members.items():
        if not isinstance(member, sf.Item) or not isinstance(member.value, bytes):
            raise DigestMalformed(
                f"{field}: {algorithm} is not a Byte Sequence. {_FORM.format(field=field)}", field=field
            )
        digests[algorithm] = member.value
    return digests


def _mismatch(field: str, algorithm: str, expected: bytes, actual: bytes, length: int) -> DigestMismatch:
    why = (
        "the declared one has the length of another hash, or is the hexadecimal form. Send the base64 of its raw bytes."
        if len(expected) != len(actual)
        else "it was changed on the way, or hashed before its final encoding. Hash the very bytes that are sent."
    )
    return DigestMismatch(
        f"The body that arrived ({length} bytes) has another {algorithm} than {field} declares: {why}",
        algorithm=algorithm,
        declared=_base64(expected),
        actual=_base64(actual),
        body_bytes=length,
    )


def _base64(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).decode("ascii")
