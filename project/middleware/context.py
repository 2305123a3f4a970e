"""The outermost layer: request id, access log, metrics, and errors in the envelope."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from project.context import RequestContext, use_context
from project.metrics.hot import observe_request
from project.proxies import client_address
from project.ratelimit import add_ratelimit_fields

log = logging.getLogger("datafold.access")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


class RequestContextMiddleware:
    """Opens the request's context, logs its start and its end, and names it in X-Request-ID."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        context = RequestContext(request_id=_request_id(request), address=client_address(request))
        started = time.perf_counter()
        with use_context(context):
            log.info("request started", extra={"method": request.method, "path": request.path})
            response = self.get_response(request)
            duration = time.perf_counter() - started
            response["X-Request-ID"] = context.request_id
            if context.quota is not None:
                add_ratelimit_fields(response, context.quota)
            observe_request(request, response.status_code, duration, context)
            log.info(
                "request ended",
                extra={
                    "method": request.method,
                    "path": request.path,
                    "status": response.status_code,
                    "duration_ms": round(duration * 1000, 2),
                    **context.log_fields,
                },
            )
        return response


def _request_id(request: HttpRequest) -> str:
    given = request.META.get("HTTP_X_REQUEST_ID", "")
    return given if _REQUEST_ID.fullmatch(given) else str(uuid.uuid4())
