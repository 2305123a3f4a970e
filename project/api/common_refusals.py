"""What any call can answer because of how it is called, added to the OpenAPI document.

`project.api.openapi.enveloped` lists what one call refuses for reasons of its own. This is the rest:
the same wherever there is a signature, an operator, a body or a name in the path.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from project.api.catalogue import CATALOGUE

SIGNED = (
    *("SIGNATURE_MALFORMED", "SIGNATURE_AMBIGUOUS", "SIGNATURE_TOO_LARGE", "DIGEST_MALFORMED"),
    *("REQUEST_MALFORMED", "SCHEMES_MIXED"),
    *("KEYID_MISSING", "COMPONENT_NOT_COVERED", "COMPONENT_UNKNOWN"),
    *("ALGORITHM_NOT_ALLOWED", "ALGORITHM_MISMATCH"),
    *("TIMESTAMP_MISSING", "TIMESTAMP_IN_FUTURE", "SIGNATURE_EXPIRED"),
    *("NONCE_MISSING", "NONCE_INVALID", "NONCE_REUSED", "CLIENT_NOT_FOUND", "SIGNATURE_VERIFICATION_FAILED"),
    *("CLIENT_SUSPENDED", "KEY_NOT_ACTIVE", "KEY_EXPIRED", "KEY_REVOKED", "NETWORK_NOT_ALLOWED"),
    "REPLAY_CHECK_UNAVAILABLE",
)
SIGNED_BODY = ("DIGEST_MISSING", "DIGEST_MISMATCH")
OPERATOR = ("SCHEMES_MIXED", "NOT_AUTHENTICATED", "TOKEN_INVALID", "CSRF_FAILED", "SECOND_FACTOR_MISSING")
BODY = ("BODY_TOO_LARGE", "LENGTH_REQUIRED")
JSON_BODY = ("MALFORMED_JSON", "UNSUPPORTED_MEDIA_TYPE")
ANY = ("INVALID_REQUEST", "AUTHORITY_NOT_ALLOWED", "NOT_ACCEPTABLE", "RATE_LIMITED", "INTERNAL_ERROR")
METHODS = {"get", "put", "post", "patch", "delete"}

HEADERS = {
    "WWW-Authenticate": "`Signature`, or `Bearer` on operators' calls.",
    "Retry-After": "Seconds until another try makes sense.",
}
WITH_STATUS = {"401": ["WWW-Authenticate"], "429": ["Retry-After"], "503": ["Retry-After"]}


def add_common_refusals(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Postprocessing hook of drf-spectacular."""
    _share_examples(result)
    result["components"]["headers"] = {
        name: {"description": text, "required": True, "schema": {"type": "string"}}
        for name, text in HEADERS.items()
    }
    _let_blanks_pass(result)
    _tell_success_from_failure(result["components"]["schemas"])
    for path, methods in result["paths"].items():
        for method, operation in methods.items():
            if method in METHODS and "Failure" in str(operation["responses"]):
                _add(operation["responses"], dict.fromkeys(_codes(path, operation)))
                operation["responses"] = dict(sorted(operation["responses"].items()))
                _name_headers(operation["responses"])
    return result


def _tell_success_from_failure(schemas: dict[str, Any]) -> None:
    """`success` decides which of `data` and `error` is null."""
    nothing = {"type": "object", "nullable": True, "enum": [None]}
    for name, schema in schemas.items():
        if "success" in schema.get("properties", {}):
            failed = name == "Failure"
            schema["properties"]["success"] = {"type": "boolean", "enum": [not failed]}
            schema["properties"]["data" if failed else "error"] = dict(nothing)
            schema["required"] = ["success", "data", "error", "meta"]


def _let_blanks_pass(node: Any) -> None:
    """drf-spectacular says oneOf for "this or empty", which refuses what is empty and also this."""
    if isinstance(node, dict):
        if node.get("oneOf", [])[1:] == [{"type": "string", "maxLength": 0}]:
            node["anyOf"] = node.pop("oneOf")
        for value in node.values():
            _let_blanks_pass(value)
    elif isinstance(node, list):
        for value in node:
            _let_blanks_pass(value)


def _codes(path: str, operation: dict[str, Any]) -> Iterator[str]:
    schemes = {name for scheme in operation.get("security", []) for name in scheme}
    body = operation.get("requestBody", {}).get("content", {})
    yield from ANY
    if "HTTPMessageSignature" in schemes:
        yield from SIGNED
        yield from SIGNED_BODY if body else ()
    if "OperatorToken" in schemes:
        yield from OPERATOR
    if body:
        yield from BODY
    if "application/json" in body:
        yield from JSON_BODY
    if "{" in path:
        yield "NOT_FOUND"


def _add(responses: dict[str, Any], codes: dict[str, None]) -> None:
    missing: dict[str, list[str]] = {}
    for code in codes:
        status = str(CATALOGUE[code].status)
        if f"`{code}`" not in responses.get(status, {}).get("description", ""):
            missing.setdefault(status, []).append(f"`{code}`")
    for status, names in missing.items():
        response = responses.setdefault(
            status,
            {
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Failure"}}},
                "description": "",
            },
        )
        also = "Also, as for every such call: " if response["description"] else ""
        response["description"] = f"{response['description']} {also}{', '.join(names)}.".strip()


def _name_headers(responses: dict[str, Any]) -> None:
    for status, names in WITH_STATUS.items():
        if status in responses:
            responses[status]["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _share_examples(result: dict[str, Any]) -> None:
    """Each refusal's example once, and not once for each call: it is two thirds of the document."""
    shared = result["components"].setdefault("examples", {})
    for methods in result["paths"].values():
        for operation in methods.values():
            for status, response in operation["responses"].items():
                examples = response.get("content", {}).get("application/json", {}).get("examples", {})
                if status >= "400":
                    for name, example in list(examples.items()):
                        code = example["value"]["error"]["code"]
                        shared[code] = example
                        del examples[name]
                        examples[code] = {"$ref": f"#/components/examples/{code}"}
