"""`/api/v1/authorize`: forward auth for nginx, Traefik, Caddy and Envoy (docs/forward-auth.md)."""

from __future__ import annotations

import json
import time
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from keys import forward_auth
from keys.forward_auth import Body, Dialect, Original
from keys.httpsig import accept_signature_for
from keys.verification import VerifiedSignature
from project.api.common_refusals import SIGNED
from project.api.demand import demanded_policy
from project.api.envelope import ErrorResponse, failure
from project.api.openapi import enveloped
from project.context import current_context

# nginx keeps a response's fields in one buffer, 4 KiB by default.
MAX_REFUSAL_BYTES = 2500


class AuthorizeView(APIView):
    """200 and who signed, or the refusal. Never open: neither DATAFOLD_ENABLE_AUTH nor _REQUIRE_AUTH matters."""

    authentication_classes = []
    permission_classes = [AllowAny]
    throttle_classes = []  # all questions come from the proxies' addresses; the clients' own rates count
    http_method_names = ["get", "post"]
    original: Original | None = None

    @extend_schema(
        tags=["forward auth"],
        summary="Judge the original request of a reverse proxy",
        description=(
            "For nginx `auth_request`, Traefik `forwardAuth`, Caddy `forward_auth` and Envoy `ext_authz` (HTTP), from "
            "DATAFOLD_TRUSTED_PROXIES only. The answer's fields say who signed: X-DataFold-Client-Id, X-DataFold-Key "
            "(thumbprint), X-DataFold-Scopes, X-DataFold-Profile, X-DataFold-Body; nothing is in its body. nginx is "
            "answered 401 or 403 only, and reads the status from X-DataFold-Status."
        ),
        request=None,
        responses=enveloped(
            None,
            errors=[
                "PROXY_NOT_TRUSTED",
                "FORWARDED_REQUEST_INVALID",
                "FORWARDED_HOST_NOT_ALLOWED",
                "SIGNATURE_MISSING",
                *SIGNED,
                "BODY_TOO_LARGE",
            ],
        ),
    )
    def get(self, request: Request, **kwargs: Any) -> Response:
        question = request._request
        self.original = forward_auth.original_request(question)
        message = self.original.message
        current_context().log_fields["original_target"] = f"{message.authority}{message.path}"[:500]
        current_context().log_fields["original_method"] = message.method
        verified, body = forward_auth.authorize(question, self.original, now=time.time())
        current_context().log_fields.update(
            client_id=verified.client.client_id, key=verified.key.thumbprint[:8]
        )
        return Response(status=200, headers=identity_fields(verified, body))

    post = get
    # The original's method may be any; Envoy asks with it.
    http_method_not_allowed = get

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        if isinstance(response, ErrorResponse):
            self._add_refusal_fields(request, response)
        return response

    def _add_refusal_fields(self, request: Any, response: ErrorResponse) -> None:
        original = self.original
        response["X-DataFold-Error"] = response.data["code"]
        if "Accept-Signature" in response:
            response["Accept-Signature"] = _demand(original)
        if forward_auth.dialect_of(request) is Dialect.ORIGINAL:
            # nginx passes neither body nor any status but 401 and 403 on: both go into fields.
            response["X-DataFold-Status"] = str(response.status_code)
            response["X-DataFold-Refusal"] = _in_one_line(response)
            response.data["status"] = response.status_code = 401 if response.status_code == 401 else 403


def identity_fields(verified: VerifiedSignature, body: Body) -> dict[str, str]:
    """What the proxy passes to the upstream. All are always there: an absent one could be the caller's own."""
    client = verified.client
    return {
        "X-DataFold-Client-Id": client.client_id,
        "X-DataFold-Key": verified.key.thumbprint,
        "X-DataFold-Scopes": " ".join(sorted(client.scopes)),
        "X-DataFold-Profile": client.profile,
        "X-DataFold-Body": body.value,
        "Cache-Control": "no-store",
    }


def _demand(original: Original | None) -> str:
    """What the original request should have had signed."""
    if original is None:
        return accept_signature_for(demanded_policy(), method="GET", has_body=False)
    message = original.message
    return accept_signature_for(demanded_policy(), method=message.method, has_body=message.has_body)


def _in_one_line(response: ErrorResponse) -> str:
    """The enveloped refusal as it fits into a header field: ASCII, and without what makes it too long."""
    line = json.dumps(failure(response.data, path=response.path), default=str)
    if len(line) > MAX_REFUSAL_BYTES:
        line = json.dumps(failure({**response.data, "details": {}}, path=response.path), default=str)
    return line
