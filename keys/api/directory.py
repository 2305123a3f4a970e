"""The server's public keys, at /.well-known/http-message-signatures-directory.

draft-meunier-webbotauth-httpsig-protocol-02: a JWKS in a media type of its own, signed by each of
its keys over the authority that was asked and the digest of the body.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from keys import server_keys
from keys.httpsig import Request, Response, SignatureError, content_digest
from keys.httpsig.signing import sign
from keys.models import ServerKey
from keys.response_signing import DIRECTORY_TAG
from keys.wire import wire_request
from project.api.catalogue import status_of
from project.api.envelope import json_failure
from project.errors import DomainError

MEDIA_TYPE = "application/http-message-signatures-directory+json"
MAX_AGE_SECONDS = 3600


@require_safe
def directory_view(request: HttpRequest) -> HttpResponse | JsonResponse:
    """The keys that this server signs with, or signed with not long ago."""
    try:
        message = wire_request(request)
        signers = server_keys.published_signers()
    except (DomainError, SignatureError) as error:
        return json_failure(request, error.code, error.message, status_of(error.code), error.details)
    body = json.dumps({"keys": [_jwk(key) for key, _ in signers]}, separators=(",", ":")).encode()
    response = HttpResponse(body, content_type=MEDIA_TYPE)
    response["Content-Digest"] = content_digest(body)
    response["Cache-Control"] = f"public, max-age={MAX_AGE_SECONDS}"
    _sign(response, message, signers, timezone.now())
    return response


def _jwk(key: ServerKey) -> dict[str, Any]:
    jwk: dict[str, Any] = {
        **key.jwk,
        "kid": key.thumbprint,
        "use": "sig",
        "alg": key.algorithm,
        "nbf": int(key.created_at.timestamp()),
    }
    if key.published_until is not None:
        jwk["exp"] = int(key.published_until.timestamp())
    return jwk


def _sign(
    response: HttpResponse,
    request: Request,
    signers: list[tuple[ServerKey, server_keys.ServerSigner]],
    now: datetime,
) -> None:
    message = Response(
        status=response.status_code,
        fields={name.lower(): value for name, value in response.items()},
        body=response.content,
        request=request,
    )
    pairs = [
        sign(
            message,
            label=f"sig{number}",
            components=['"@authority";req', '"content-digest"'],
            params={
                "created": int(now.timestamp()),
                "expires": _expires(key, now),
                "keyid": signer.thumbprint,
                "tag": DIRECTORY_TAG,
            },
            private_key=signer.private_key,
        )
        for number, (key, signer) in enumerate(signers, start=1)
    ]
    response["Signature-Input"] = ", ".join(signature_input for signature_input, _ in pairs)
    response["Signature"] = ", ".join(signature for _, signature in pairs)


def _expires(key: ServerKey, now: datetime) -> int:
    """Never after the key's own end, and at least a second from `now`."""
    end = now + server_keys.DIRECTORY_LIFETIME
    if key.published_until is not None:
        end = min(end, key.published_until)
    return max(int(end.timestamp()), int(now.timestamp()) + 1)
