"""What the worker refuses itself, before there is a request that Django could answer: in the same envelope."""

from __future__ import annotations

import json
import logging
import re
import uuid
from dataclasses import dataclass
from http import HTTPStatus

from gunicorn.http import errors as http
from gunicorn.util import http_date

from project.api.catalogue import status_of
from project.api.envelope import failure
from project.context import RequestContext, use_context
from project.metrics.hot import observe_unread_request
from project.security.headers import HEADERS
from project.security.policy import DATA

log = logging.getLogger("datafold.access")

_REQUEST_ID = re.compile(rb"\r\nX-Request-ID:[ \t]*([A-Za-z0-9._-]{8,64})[ \t]*\r\n", re.IGNORECASE)
_TARGET = re.compile(rb"(?:\r\n)?[A-Z]{3,20} (/[\x21-\x3e\x40-\x7e]{0,1000})")


@dataclass(frozen=True, slots=True)
class Refusal:
    """`code` is one of `project.api.catalogue`."""

    code: str
    message: str

    @property
    def status(self) -> int:
        return status_of(self.code)


TOO_SLOW = Refusal(
    "REQUEST_TIMEOUT", "The request did not arrive in time. Send it again, signed anew, without pauses."
)
OVERDUE = Refusal(
    "PROCESSING_TIMEOUT",
    "The server did not finish in time. Whether the request was carried out is not known: look before you repeat it.",
)
TOO_MANY = Refusal(
    "SERVICE_UNAVAILABLE",
    "More requests wait here than the server has memory for. Nothing was done: send it again, signed anew, after the "
    "seconds that Retry-After gives.",
)
HEAD_TOO_LARGE = Refusal(
    "HEADERS_TOO_LARGE", "The header fields are too long, or too many. Send fewer and shorter ones."
)
FAILED = Refusal(
    "INTERNAL_ERROR", "The server failed on this request. If it stays, tell the operators the request id."
)
_URI_TOO_LONG = Refusal("URI_TOO_LONG", "The request line is too long. Shorten path and query.")
_MALFORMED = Refusal(
    "INVALID_REQUEST",
    "This is not an HTTP/1.1 request as RFC 9112 says. Look at its request line and header fields.",
)
_UNKNOWN_CODING = Refusal(
    "TRANSFER_CODING_UNKNOWN",
    "The body's transfer coding is not known here. Send it with Content-Length instead.",
)
_EXPECTATION = Refusal("EXPECTATION_FAILED", "The only expectation that is met here is 100-continue.")


def refusal_for(error: Exception) -> Refusal:
    """What an exception of gunicorn's parser means; an unknown one is a failure of the server."""
    match error:
        case http.LimitRequestLine():
            return _URI_TOO_LONG
        case http.LimitRequestHeaders():
            return HEAD_TOO_LARGE
        case http.UnsupportedTransferCoding():
            return _UNKNOWN_CODING
        case http.ExpectationFailed():
            return _EXPECTATION
        case http.InvalidResponseHeader() | http.InvalidResponseHeaderName() | http.ConfigurationProblem():
            return FAILED  # the application's fault and not the caller's
        case http.ParseException() | http.NoMoreData() | StopIteration():
            return _MALFORMED
        case _:
            return FAILED


def write_refusal(refusal: Refusal, *, head: bytes, address: str) -> bytes:
    """The whole answer, after which the connection closes. Counts it and logs it.

    Args:
        head: what has arrived of the request's head, for its id and path.
        address: the caller's.
    """
    context = RequestContext(request_id=_request_id(head), address=address)
    path = _path(head)
    with use_context(context):
        error = {"code": refusal.code, "message": refusal.message, "status": refusal.status, "details": {}}
        body = json.dumps(failure(error, path=path)).encode()
        log.info(
            "request refused",
            extra={"path": path, "status": refusal.status, "error_code": refusal.code},
        )
    observe_unread_request(refusal.status, refusal.code)
    fields = {
        "Date": http_date(),
        "Connection": "close",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "X-Request-ID": context.request_id,
        **({"Retry-After": "1"} if refusal.status == 503 else {}),
        **HEADERS,
        "Content-Security-Policy": DATA,
        "Cache-Control": "no-store",
    }
    lines = [f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    answer = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    return answer if head.lstrip(b"\r\n").startswith(b"HEAD ") else answer + body


def _request_id(head: bytes) -> str:
    given = _REQUEST_ID.search(head)
    return given[1].decode() if given else str(uuid.uuid4())


def _path(head: bytes) -> str:
    target = _TARGET.match(head)
    return target[1].decode() if target else ""
