"""The one place where refusals become HTTP."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import DisallowedHost, PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import set_rollback

from keys.api.throttles import count_unsigned_refusal
from keys.errors import KeysError
from keys.httpsig import WANT_CONTENT_DIGEST, SignatureError
from keys.refusals import SIGNATURE_CODES, keep_refusal
from keys.wire import NOT_OURS
from project.api.catalogue import status_of
from project.api.demand import demand_for
from project.api.envelope import ErrorResponse, json_failure
from project.context import current_context
from project.errors import DomainError

log = logging.getLogger(__name__)

# What a database that is away, going, or too busy raises; everything else of it is a mistake of ours.
DATABASE_AWAY = (OperationalError, InterfaceError)
DATABASE_AWAY_MESSAGE = (
    "The database does not answer. Try again after the seconds that Retry-After gives, signed anew; look first whether "
    "a write was done, for its answer may be all that was lost."
)
DATABASE_RETRY_SECONDS = 2

# DRF's own exceptions, by their class; everything else of DRF is INVALID_REQUEST.
_DRF_CODES: list[tuple[type[exceptions.APIException], str]] = [
    (exceptions.ValidationError, "VALIDATION_FAILED"),
    (exceptions.ParseError, "MALFORMED_JSON"),
    (exceptions.NotAuthenticated, "SIGNATURE_MISSING"),
    (exceptions.AuthenticationFailed, "NOT_AUTHENTICATED"),
    (exceptions.PermissionDenied, "PERMISSION_DENIED"),
    (exceptions.NotFound, "NOT_FOUND"),
    (exceptions.MethodNotAllowed, "METHOD_NOT_ALLOWED"),
    (exceptions.NotAcceptable, "NOT_ACCEPTABLE"),
    (exceptions.UnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE"),
    (exceptions.Throttled, "RATE_LIMITED"),
]


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's EXCEPTION_HANDLER: every refusal in the envelope; None (a 500) for what is no refusal."""
    request = context["request"]
    error = _or_throttled(error, request, context.get("view"))
    code, message, details, status = _describe(error, request)
    if not code:
        return None
    if code in SIGNATURE_CODES:
        details.setdefault("hint", message)
    set_rollback()
    current_context().log_fields["error_code"] = code
    response = ErrorResponse(
        {"code": code, "message": message, "status": status, "details": details},
        path=request.path,
        status=status,
    )
    _add_fields(response, error, status, details, request, context.get("view"))
    keep_refusal(getattr(request, "_request", request), response, code=code, message=message, details=details)
    return response


def _or_throttled(error: Exception, request: Any, view: Any) -> Exception:
    """A refused signature counts where it is verified; other 401s count as what they are, anonymous."""
    if isinstance(error, SignatureError | KeysError) or not isinstance(request, Request):
        return error
    status = status_of(error.code) if isinstance(error, DomainError) else getattr(error, "status_code", 0)
    if status != 401:
        return error
    return count_unsigned_refusal(request, view) or error


def _describe(error: Exception, request: Any) -> tuple[str, str, dict[str, Any], int]:
    if isinstance(error, SignatureError | DomainError):
        return error.code, error.message, dict(error.details), status_of(error.code)
    if isinstance(error, DATABASE_AWAY):
        log.error("the database does not answer: %s", error)
        details = {"retry_after": DATABASE_RETRY_SECONDS}
        return "SERVICE_UNAVAILABLE", DATABASE_AWAY_MESSAGE, details, 503
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if not isinstance(error, exceptions.APIException):
        return "", "", {}, 500
    code = next((code for kind, code in _DRF_CODES if isinstance(error, kind)), "INVALID_REQUEST")
    if isinstance(error, exceptions.ValidationError):
        return code, _fields_message(error.detail), {"fields": error.detail}, status_of(code)
    if isinstance(error, exceptions.NotAuthenticated):
        message = (
            "This call needs a signed request. Sign it as RFC 9421 says; the answer's Accept-Signature field names the "
            "components and parameters."
        )
        if request.META.get("HTTP_AUTHORIZATION", "")[:10].lower() == "signature ":
            message += (
                " An Authorization: Signature field belongs to an older draft; RFC 9421 has the fields Signature-Input "
                "and Signature."
            )
        return code, message, {}, 401
    if isinstance(error, exceptions.UnsupportedMediaType):
        accepted = sorted({each.media_type for each in getattr(request, "parsers", ()) if each.media_type})
        return code, f"{error.detail} Send {' or '.join(accepted)}.", {"accepted": accepted}, 415
    details = (
        {"retry_after": int(getattr(error, "wait", None) or 1)}
        if isinstance(error, exceptions.Throttled)
        else {}
    )
    return code, str(error.detail), details, error.status_code


def _fields_message(detail: Any) -> str:
    if isinstance(detail, dict):
        return (
            "The content is not valid: "
            + "; ".join(f"{name}: {_first(value)}" for name, value in detail.items())[:800]
        )
    return "The content is not valid: " + _first(detail)


def _first(value: Any) -> str:
    while isinstance(value, list | dict) and value:
        value = next(iter(value.values())) if isinstance(value, dict) else value[0]
    return str(value)


def _add_fields(
    response: Response, error: Exception, status: int, details: Mapping[str, Any], request: Any, view: Any
) -> None:
    if status == 401 and (challenge := getattr(error, "challenge", "")):
        response["WWW-Authenticate"] = challenge
    elif status == 401:
        response["WWW-Authenticate"] = "Signature"
        response["Accept-Signature"] = demand_for(request, view)
    if status in (429, 503):
        response["Retry-After"] = str(details.get("retry_after", 1))
    if getattr(error, "code", "").startswith("DIGEST_"):
        response["Want-Content-Digest"] = WANT_CONTENT_DIGEST
    if isinstance(error, exceptions.MethodNotAllowed) and view is not None:
        response["Allow"] = ", ".join(view.allowed_methods)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's handler400; a Host that is not in ALLOWED_HOSTS ends here."""
    if isinstance(exception, DisallowedHost):
        return json_failure(request, "AUTHORITY_NOT_ALLOWED", NOT_OURS, 400)
    return json_failure(
        request,
        "INVALID_REQUEST",
        "The request cannot be processed as it stands. Check its Host and path.",
        400,
    )


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's handler403."""
    return json_failure(request, "PERMISSION_DENIED", "You may not do this.", 403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's handler404."""
    return json_failure(
        request, "NOT_FOUND", f"There is nothing at {request.path[:200]}. All calls are listed at /docs.", 404
    )


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Django's handler500, called while the exception is handled."""
    if isinstance(sys.exc_info()[1], DATABASE_AWAY):
        retry_after = DATABASE_RETRY_SECONDS
        response = json_failure(
            request, "SERVICE_UNAVAILABLE", DATABASE_AWAY_MESSAGE, 503, {"retry_after": retry_after}
        )
        response["Retry-After"] = str(retry_after)
        return response
    return json_failure(
        request,
        "INTERNAL_ERROR",
        "The server failed on this request. Try again; if it stays, tell the operators the request id.",
        500,
    )
