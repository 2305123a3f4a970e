"""From a response to its parsed JSON object, or to the error that fits it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeAlias

import httpx2

from . import errors

JSONObject: TypeAlias = dict[str, Any]

_BY_CODE: Final[dict[str, type[errors.APIError]]] = {
    "SIGNATURE_EXPIRED": errors.ClockError,
    "TIMESTAMP_IN_FUTURE": errors.ClockError,
    "NONCE_REUSED": errors.NonceReusedError,
    "SIGNATURE_VERIFICATION_FAILED": errors.SignatureMismatchError,
    "KEY_NOT_ACTIVE": errors.KeyStateError,
    "KEY_EXPIRED": errors.KeyStateError,
    "KEY_REVOKED": errors.KeyStateError,
    "CLIENT_SUSPENDED": errors.KeyStateError,
    "SCHEMA_INCOMPATIBLE": errors.SchemaIncompatibleError,
}
_SIGNATURE_PREFIXES: Final = (
    "SIGNATURE_",
    "COMPONENT_",
    "ALGORITHM_",
    "TIMESTAMP_",
    "NONCE_",
    "DIGEST_",
)
_BY_STATUS: Final[dict[int, type[errors.APIError]]] = {
    401: errors.AuthenticationError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    409: errors.ConflictError,
    422: errors.ValidationError,
    429: errors.RateLimitedError,
    503: errors.ServiceUnavailableError,
}


def read_response(response: httpx2.Response, *, clock: Callable[[], float] = time.time) -> JSONObject:
    """The JSON object of a success; an empty one for an empty body.

    Args:
        response: an answer that has been read.
        clock: gives the present as seconds since the epoch, to tell how far this machine's clock is off.

    Raises:
        APIError: the server refused.
        InvalidResponseError: the answer is not JSON, or not an object.
        RedirectRefusedError: the answer redirects.
    """
    if response.is_success:
        return _json_object(response)
    if response.has_redirect_location:
        raise redirect_refused(response)
    if response.status_code < 400:
        raise errors.InvalidResponseError(
            f"The server answered {response.status_code} without content.", status=response.status_code
        )
    raise error_of(response, clock=clock)


def error_of(response: httpx2.Response, *, clock: Callable[[], float] = time.time) -> errors.APIError:
    """The typed error that a refusal stands for."""
    envelope = _envelope(response)
    refusal = envelope.get("error")
    refusal = refusal if isinstance(refusal, dict) else {}
    code = refusal.get("code")
    code = code if isinstance(code, str) and code else f"HTTP_{response.status_code}"
    details = refusal.get("details")
    known: dict[str, Any] = {
        "code": code,
        "status": response.status_code,
        "details": details if isinstance(details, dict) else ({"problems": details} if details else {}),
        "request_id": _request_id(envelope, response),
        "retry_after": _retry_after(response, clock),
    }
    message = str(refusal.get("message") or _unspoken(response))
    error_class = _class_for(response.status_code, code)
    if issubclass(error_class, errors.ClockError):
        skew = _clock_skew(response, clock)
        return error_class(f"{message} {_clock_help(skew)}".strip(), clock_skew=skew, **known)
    return error_class(message, **known)


def redirect_refused(response: httpx2.Response) -> errors.RedirectRefusedError:
    """The error for a redirect that a signed request does not follow."""
    target = response.headers.get("Location", "")
    return errors.RedirectRefusedError(
        f"The server redirects {response.request.method} {response.request.url} to {target!r}. A signature "
        "holds for one method and URL: only a plain read follows, within the origin. If this is where the server "
        "lives, make it the base_url.",
        status=response.status_code,
        details={"location": target},
        request_id=response.headers.get("X-Request-ID"),
    )


def _json_object(response: httpx2.Response) -> JSONObject:
    if not response.content:
        return {}
    try:
        parsed = response.json()
    except (ValueError, RecursionError) as exc:
        raise errors.InvalidResponseError(
            f"{response.request.url} did not answer with JSON "
            f"(Content-Type {response.headers.get('Content-Type', 'missing')!r}). Is this a DataFold server?",
            status=response.status_code,
        ) from exc
    if not isinstance(parsed, dict):
        raise errors.InvalidResponseError(
            f"{response.request.url} answered with JSON that is not an object.", status=response.status_code
        )
    return parsed


def _envelope(response: httpx2.Response) -> JSONObject:
    try:
        parsed = json.loads(response.content)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _class_for(status: int, code: str) -> type[errors.APIError]:
    if code in _BY_CODE:
        return _BY_CODE[code]
    if status == 401 and code.startswith(_SIGNATURE_PREFIXES):
        return errors.SignatureError
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return errors.ServerError if status >= 500 else errors.BadRequestError


def _request_id(envelope: JSONObject, response: httpx2.Response) -> str | None:
    meta = envelope.get("meta")
    known = meta.get("request_id") if isinstance(meta, dict) else None
    return known if isinstance(known, str) else response.headers.get("X-Request-ID")


def _unspoken(response: httpx2.Response) -> str:
    return f"The server answered {response.status_code} {response.reason_phrase} without an explanation."


def _retry_after(response: httpx2.Response, clock: Callable[[], float]) -> float | None:
    """Retry-After in seconds, from either of its forms (RFC 9110 section 10.2.3)."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdecimal() and value.isascii() and len(value) < 10:
        return float(value)
    moment = _http_date(value)
    return max(0.0, moment - clock()) if moment is not None else None


def _clock_skew(response: httpx2.Response, clock: Callable[[], float]) -> float | None:
    moment = _http_date(response.headers.get("Date", ""))
    return round(clock() - moment) if moment is not None else None


def _clock_help(skew: float | None) -> str:
    if skew is None:
        return ""
    if abs(skew) < 2:
        return "This machine's clock agrees with the server's: the request was on its way for too long."
    direction = "ahead of" if skew > 0 else "behind"
    return (
        f"This machine's clock is {abs(skew):.0f} s {direction} the server's: set it (NTP), then try again."
    )


def _http_date(value: str) -> float | None:
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() if moment else None
