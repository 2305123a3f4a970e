"""What a client writes down: every signed request that it sent, and what came back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO


@dataclass(frozen=True, slots=True)
class Record:
    """One request and its answer.

    Args:
        client, profile: who signed.
        kind: what was asked for (`benchmarks.chaos.operations`); "replay" for a request sent again.
        request: as it was signed: method, url, headers, and what is needed to name it.
        nonce: of the signature; "" for a registration, which is not signed.
        sent, answered: Unix seconds.
        status: of the answer; 0 where there was none.
        code: the error's, or the kind of the failure; "" for a success.
        request_id: as the client chose it.
        facts: what the answer promised: ids and numbers of what was written.
        forbidden: it was sent after its key's revocation was acknowledged.
    """

    client: str
    profile: str
    kind: str
    request: dict[str, Any]
    nonce: str
    sent: float
    answered: float
    status: int
    code: str
    request_id: str
    facts: dict[str, Any] = field(default_factory=dict)
    forbidden: bool = False

    @property
    def is_replay(self) -> bool:
        return self.kind == "replay"

    @property
    def leaves(self) -> bool:
        """Its client revokes its own key, which may have come to pass though no answer said so."""
        return self.kind in ("leaver", "revoke")

    @property
    def accepted(self) -> bool:
        """The server did what it was asked."""
        return 200 <= self.status < 300

    @property
    def passed(self) -> bool:
        """The signature was let in, whatever became of the request after that.

        Only answers that are known to be given before a nonce is spent, or instead, say that it was not.
        """
        return self.status != 0 and self.code not in NOT_LET_IN


NOT_LET_IN = frozenset(
    {
        "NONCE_REUSED",
        "REPLAY_CHECK_UNAVAILABLE",
        "SERVICE_UNAVAILABLE",
        "SIGNATURE_EXPIRED",
        "TIMESTAMP_IN_FUTURE",
        "SIGNATURE_VERIFICATION_FAILED",
        "KEY_REVOKED",
        "KEY_NOT_ACTIVE",
        "KEY_EXPIRED",
        "HTTP 502",
        "HTTP 503",
        "HTTP 504",
    }
)
"""Codes of the envelope, and statuses of answers that nginx gave itself."""


class Log:
    """One client's file of records, one JSON object a line, safe after a crash."""

    def __init__(self, path: Path) -> None:
        self._file: TextIO = path.open("a", buffering=1)

    def write(self, record: Record) -> None:
        self._file.write(json.dumps(asdict(record)) + "\n")

    def close(self) -> None:
        self._file.close()


def read_records(paths: Iterable[Path]) -> list[Record]:
    """All records, in the order in which they were sent."""
    return sorted(_records(paths), key=lambda record: record.sent)


def _records(paths: Iterable[Path]) -> Iterator[Record]:
    for path in paths:
        for line in path.read_text().splitlines():
            yield Record(**json.loads(line))
