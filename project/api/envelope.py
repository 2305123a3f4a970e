"""The envelope: the same four keys on every answer (DESIGN §4)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, JsonResponse
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from project.context import current_context


class ApiResponse(Response):
    """A successful answer: `data`, plus what belongs into `meta` besides time and request id."""

    def __init__(self, data: Any = None, *, meta: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self.meta = dict(meta or {})


class ErrorResponse(Response):
    """A refusal; `data` is the error object."""

    def __init__(self, error: Mapping[str, Any], *, path: str, **kwargs: Any) -> None:
        super().__init__(dict(error), **kwargs)
        self.path = path


class EnvelopeRenderer(JSONRenderer):
    """Wraps what a view returned. Charset and media type are JSON's own."""

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        response = (renderer_context or {}).get("response")
        if response is not None and response.status_code == 204:
            return b""
        if isinstance(response, ErrorResponse):
            body = failure(data, path=response.path)
        else:
            body = success(data, getattr(response, "meta", {}))
        return super().render(body, accepted_media_type, renderer_context)


def success(data: Any, meta: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {"success": True, "data": data, "error": None, "meta": {**base_meta(), **(meta or {})}}


def failure(error: Mapping[str, Any], *, path: str) -> dict[str, Any]:
    return {"success": False, "data": None, "error": dict(error), "meta": {**base_meta(), "path": path}}


def base_meta() -> dict[str, Any]:
    context = current_context()
    meta: dict[str, Any] = {"timestamp": rfc3339(datetime.now(UTC)), "request_id": context.request_id}
    if context.warnings:
        meta["warnings"] = list(context.warnings)
    return meta


def rfc3339(moment: datetime) -> str:
    """UTC with milliseconds and a "Z"."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def json_failure(
    request: HttpRequest, code: str, message: str, status: int, details: Mapping[str, Any] | None = None
) -> JsonResponse:
    """An enveloped refusal for code outside DRF (middleware, Django's error handlers)."""
    current_context().log_fields["error_code"] = code
    error = {"code": code, "message": message, "status": status, "details": dict(details or {})}
    return JsonResponse(failure(error, path=request.path), status=status)
