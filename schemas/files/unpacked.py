"""What an uploaded file unpacks to, with a look around at every piece that is read.

A bomb of a gibibyte may hold a tebibyte without one line break: nobody who waits for the next record
would ever look up. So it is here that the size is bounded and the worker is asked to give a sign.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from typing import IO, Final

from schemas.files.records import UnreadableFileError

PIECE: Final = 256 * 1024


def open_unpacked(
    raw: io.FileIO, *, gzipped: bool, limit: int, look: Callable[[], None]
) -> io.BufferedReader:
    """The bytes of the file, unpacked if it is `gzipped`.

    Args:
        limit: bytes that it may unpack to; reading on raises `UnreadableFileError`.
        look: called before each piece that is read or passed over; what it raises ends the reading.
    """
    return io.BufferedReader(_Unpacked(raw, gzipped=gzipped, limit=limit, look=look), PIECE)


class _Unpacked(io.RawIOBase):
    def __init__(self, raw: io.FileIO, *, gzipped: bool, limit: int, look: Callable[[], None]) -> None:
        self._file: IO[bytes] = gzip.GzipFile(fileobj=raw) if gzipped else raw  # type: ignore[assignment]
        self._can_jump = not gzipped
        self._limit = limit
        self._look = look
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        self._look()
        piece = self._file.read(len(buffer))
        buffer[: len(piece)] = piece
        self._at += len(piece)
        if self._at > self._limit:
            raise UnreadableFileError(f"The file unpacks to over {self._limit} bytes.")
        return len(piece)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Forwards only; what is packed is read on the way."""
        target = self._at + offset if whence == io.SEEK_CUR else offset
        if whence == io.SEEK_END or target < self._at:
            raise io.UnsupportedOperation("only forwards")
        if self._can_jump:
            self._at = self._file.seek(target)
        while self._at < target and self.readinto(bytearray(min(PIECE, target - self._at))):
            pass
        return self._at
