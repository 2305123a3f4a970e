"""Where a request's head ends, and gunicorn's parser over a request that has arrived."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

from gunicorn.http.errors import LimitRequestHeaders
from gunicorn.http.message import Request
from gunicorn.http.unreader import Unreader

MAX_HEAD = 64 * 1024  # as much as the shipped nginx takes

_BARE_LF = re.compile(rb"(?<!\r)\n")


class Source(Unreader):  # type: ignore[misc]  # gunicorn has no types
    """What gunicorn's parser and body readers read from: one head, then at most one body."""

    def __init__(self, head: bytes) -> None:
        super().__init__()
        self._head = head
        self.read_body: Callable[[int], bytes] = io.BytesIO().read

    def chunk(self, size_hint: int | None = None) -> bytes:
        if self._head:
            head, self._head = self._head, b""
            return head
        return self.read_body(max(size_hint or 0, 8192))


def find_end(data: bytearray, scanned: int, limit_line: int) -> tuple[int, bool]:
    """Look for the end of the head in `data`, of which `scanned` bytes were looked at before.

    Returns (end, False) where it ends, (-1, False) where more is to come, (-1, True) where it never will:
    it is too long, or its lines do not end as RFC 9112 says.
    """
    start = max(0, scanned - 3)
    end = data.find(b"\r\n\r\n", start)
    if end >= 0:
        return end + 4, end + 4 > MAX_HEAD
    hopeless = (
        len(data) > MAX_HEAD
        or _BARE_LF.search(data, max(0, scanned - 1)) is not None
        or (len(data) > limit_line + 2 and data.find(b"\r\n", 2, limit_line + 4) < 0)
    )
    return -1, hopeless


def parse_head(config: Any, head: bytes, client: tuple[str, int]) -> tuple[Any, Source]:
    """gunicorn's request of a whole head.

    Raises:
        gunicorn.http.errors.ParseException, NoMoreData: it is none.
    """
    if len(head) > MAX_HEAD:
        raise LimitRequestHeaders("the head is too long")
    source = Source(head)
    return Request(config, source, client), source


def body_length(request: Any) -> int | None:
    """The length that the request declares; None for a body in chunks."""
    length = 0
    for name, value in request.headers:
        if name == "TRANSFER-ENCODING":
            return None
        if name == "CONTENT-LENGTH":
            length = int(value)  # the parser has checked it
    return length


def forwarded_for(request: Any) -> str:
    """X-Forwarded-For as it came, which is to be believed from a trusted proxy only."""
    return ",".join(value for name, value in request.headers if name == "X-FORWARDED-FOR")
