"""The calls beside /api/v1/ that are no views of DRF, described for the OpenAPI document."""

from __future__ import annotations

from typing import Any

_REPORT = {"type": "object", "additionalProperties": True}
_FAILURE = {"$ref": "#/components/schemas/Failure"}


def add_plain_calls(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Postprocessing hook of drf-spectacular."""
    result["paths"] |= {
        "/health/": _call(
            "health",
            "Whether the server and what it needs is well",
            {200: _enveloped("All is well."), 503: _enveloped("Something is not; `services` says what.")},
        ),
        "/health/live": _call("health_live", "Liveness: the process answers", {200: _enveloped("It does.")}),
        "/health/ready": _call(
            "health_ready",
            "Readiness: migrations are applied and every needed part answers",
            {
                200: _enveloped("Requests are welcome."),
                503: _json("`SERVICE_UNAVAILABLE`: details.parts says what is missing.", _FAILURE),
            },
        ),
        "/health/detailed": _call(
            "health_detailed",
            "The report for people on call",
            {200: _enveloped("Figures for DATAFOLD_METRICS_NETWORKS and operators; states for anybody.")},
        ),
        "/metrics": _call(
            "metrics",
            "Prometheus metrics, for DATAFOLD_METRICS_NETWORKS",
            {
                200: {
                    "description": "Exposition.",
                    "content": {"text/plain": {"schema": {"type": "string"}}},
                },
                404: _json("`NOT_FOUND`: the caller's address is on no such network.", _FAILURE),
            },
        ),
        "/.well-known/http-message-signatures-directory": _call(
            "key_directory",
            "The server's public keys, signed by each of them",
            {
                200: {
                    "description": "A JWKS (draft-meunier-webbotauth-httpsig-protocol).",
                    "content": {
                        "application/http-message-signatures-directory+json": {
                            "schema": {
                                "type": "object",
                                "properties": {"keys": {"type": "array", "items": {"type": "object"}}},
                                "required": ["keys"],
                            }
                        }
                    },
                },
                400: _json("`AUTHORITY_NOT_ALLOWED`.", _FAILURE),
                503: _json("`SERVICE_UNAVAILABLE`: no encryption key is set.", _FAILURE),
            },
        ),
    }
    return result


def _call(name: str, summary: str, responses: dict[int, Any]) -> dict[str, Any]:
    operation = {
        "operationId": name,
        "summary": summary,
        "tags": ["system"],
        "security": [{}],
        "responses": {str(status): response for status, response in responses.items()},
    }
    return {"get": operation}


def _enveloped(description: str) -> dict[str, Any]:
    return _json(
        description,
        {
            "type": "object",
            "properties": {
                "success": {"type": "boolean", "enum": [True]},
                "data": _REPORT,
                "error": {"type": "object", "nullable": True, "enum": [None]},
                "meta": {"$ref": "#/components/schemas/Meta"},
            },
            "required": ["success", "data", "error", "meta"],
        },
    )


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
