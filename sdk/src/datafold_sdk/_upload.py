"""A file as the body of a request: read twice, for its digest and to be sent, and never held in memory."""

from __future__ import annotations

import asyncio
import hashlib
import os
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Final

import httpx2

from .errors import ConfigurationError

PIECE: Final = 256 * 1024
MEDIA_TYPES: Final = {
    ".ndjson": "application/x-ndjson",
    ".jsonl": "application/x-ndjson",
    ".csv": "text/csv",
    ".json": "application/json",
}


class FileBody(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """The file at `path`. It can be sent more than once, and its digest is computed once.

    Attributes:
        media_type: what is in the file, unpacked.
        gzipped: whether the file is packed.
    """

    def __init__(self, path: str | os.PathLike[str], *, media_type: str | None = None) -> None:
        """Raises ConfigurationError: the file cannot be read, or its name does not say what it is."""
        self.path = Path(path)
        suffixes = [suffix.lower() for suffix in self.path.suffixes]
        self.gzipped = suffixes[-1:] == [".gz"]
        unpacked = suffixes[:-1] if self.gzipped else suffixes
        known = MEDIA_TYPES.get(unpacked[-1]) if unpacked else None
        if media_type is None and known is None:
            raise ConfigurationError(
                f"The name of {self.path.name} does not say what is in it. Give media_type, such as "
                "application/x-ndjson, text/csv or application/json."
            )
        self.media_type = media_type or known or ""

    @cached_property
    def headers(self) -> dict[str, str]:
        """The header fields that describe the file, its RFC 9530 Content-Digest among them; reads the file."""
        digest, size = hashlib.sha256(), 0
        with self._open() as file:
            while piece := file.read(PIECE):
                digest.update(piece)
                size += len(piece)
        described = {
            "Content-Type": self.media_type,
            "Content-Length": str(size),
            "Content-Digest": f"sha-256=:{b64encode(digest.digest()).decode('ascii')}:",
        }
        return described | ({"Content-Encoding": "gzip"} if self.gzipped else {})

    def __iter__(self) -> Iterator[bytes]:
        with self._open() as file:
            rest = self._size
            while rest:
                piece = self._as_described(file.read(min(rest, PIECE)))
                rest -= len(piece)
                yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with self._open() as file:
            rest = self._size
            while rest:
                piece = self._as_described(await asyncio.to_thread(file.read, min(rest, PIECE)))
                rest -= len(piece)
                yield piece

    @property
    def _size(self) -> int:
        """As it is signed: what is appended meanwhile, as to a log, is not sent."""
        return int(self.headers["Content-Length"])

    def _as_described(self, piece: bytes) -> bytes:
        if not piece:
            raise ConfigurationError(f"{self.path} was cut while it was being sent. Send a copy of it.")
        return piece

    def _open(self) -> BinaryIO:
        try:
            return self.path.open("rb")
        except OSError as exc:
            raise ConfigurationError(f"{self.path} cannot be read: {exc.strerror or exc}.") from exc


def has_body(request: httpx2.Request) -> bool:
    """Whether the request has a body; a file is taken to have one."""
    return isinstance(request.stream, FileBody) or bool(request.content)


def with_file(request: httpx2.Request, file: FileBody | None) -> httpx2.Request:
    """`request` with the file for its body, if there is one."""
    if file is None:
        return request
    return httpx2.Request(
        request.method,
        request.url,
        headers=request.headers,
        stream=file,
        extensions=dict(request.extensions),
    )
