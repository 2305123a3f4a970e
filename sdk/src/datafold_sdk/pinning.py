"""Keeping a checkpoint of the audit log in a file, and following the log from there."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .checkpoints import Checkpoint, verify_chain, verify_checkpoint, verify_inclusion
from .client import DataFoldClient
from .errors import ConfigurationError, InvalidResponseError, VerificationError
from .operations import API
from .verification import ServerKeys

_PAGE = 200
_MAX_FILE_BYTES = 64 * 1024


class CheckpointPin:
    """The checkpoint of one server's audit log that this machine has seen last.

    Args:
        path: the file; it holds the server's own document, which `manage.py verify_audit_log
            --checkpoint FILE` reads too.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def load(self) -> Checkpoint | None:
        """The pinned checkpoint; None if there is none yet.

        Raises:
            ConfigurationError: the file cannot be read.
            VerificationError: the file was changed.
        """
        try:
            with self.path.open("rb") as file:
                text = file.read(_MAX_FILE_BYTES)
            document = json.loads(text)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as exc:
            raise ConfigurationError(f"The pinned checkpoint {self.path} cannot be read: {exc}") from exc
        return Checkpoint.from_document(document)

    def check(self, client: DataFoldClient, keys: ServerKeys) -> Checkpoint:
        """The server's latest checkpoint, which continues the pinned one. Changes nothing.

        Args:
            client: one that signs, and whose server has the log.
            keys: that server's keys, from its directory.

        Raises:
            VerificationError: the latest checkpoint is not the server's, or the log was rewritten or cut.
            APIError, TransportError: it could not be had.
        """
        head, pinned = latest_checkpoint(client, keys), self.load()
        if pinned is not None:
            verify_chain(chain_from(client, head), pinned)
        return head

    def update(self, client: DataFoldClient, keys: ServerKeys) -> Checkpoint:
        """As `check`; then pin what the server has now."""
        head = self.check(client, keys)
        self._save(head)
        return head

    def check_event(self, client: DataFoldClient, keys: ServerKeys, event_id: int) -> dict[str, Any]:
        """An event of the log, proven to lie under the chain that leads to the latest checkpoint.

        Raises:
            VerificationError: the log was rewritten or cut, or the proof does not hold.
        """
        head = self.check(client, keys)
        proof = client.request("GET", f"{API}/audit/events/{int(event_id)}/proof").get("data")
        if not isinstance(proof, dict):
            raise InvalidResponseError("The server's answer holds no proof.")
        under = Checkpoint.from_document(proof.get("checkpoint"))
        if under.number > head.number:  # sealed just now
            head = latest_checkpoint(client, keys)
        verify_chain(chain_from(client, head), under)
        verify_inclusion(proof, under)
        event: dict[str, Any] = proof["event"]
        if event.get("id") != event_id:
            raise VerificationError(
                f"The server proved the event {event.get('id')!r}, not {event_id}.", code="PROOF_INVALID"
            )
        return event

    def _save(self, checkpoint: Checkpoint) -> None:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=".checkpoint-")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(dict(checkpoint.document), file, indent=2)
                file.write("\n")
            os.replace(temporary, self.path)
        except OSError as exc:
            raise ConfigurationError(
                f"The checkpoint cannot be kept in {self.path}: {exc.strerror}."
            ) from exc


def latest_checkpoint(client: DataFoldClient, keys: ServerKeys) -> Checkpoint:
    """The server's latest checkpoint, signed by one of its keys."""
    return verify_checkpoint(client.request("GET", f"{API}/audit/checkpoints/latest").get("data"), keys)


def chain_from(client: DataFoldClient, head: Checkpoint) -> Iterator[Checkpoint]:
    """The head and the checkpoints before it, newest first, page by page."""
    yield head
    cursor: str | None = None
    while True:
        params = {"limit": _PAGE} | ({"cursor": cursor} if cursor else {})
        answer = client.request("GET", f"{API}/audit/checkpoints", params=params)
        rows = answer.get("data")
        if not isinstance(rows, list):
            raise InvalidResponseError("The server's answer holds no list of checkpoints.")
        older = [each for each in map(Checkpoint.from_document, rows) if each.number < head.number]
        yield from older
        cursor = next_cursor(answer)
        # A page of what was sealed since is not to be expected, and a server could go on with such for ever.
        if cursor is None or not older:
            return


def next_cursor(answer: dict[str, Any]) -> str | None:
    """What a list's next page is asked for with; None on the last one."""
    meta = answer.get("meta")
    pagination = meta.get("pagination") if isinstance(meta, dict) else None
    cursor = pagination.get("next_cursor") if isinstance(pagination, dict) else None
    return cursor if isinstance(cursor, str) else None
