"""The server's signature under a response (RFC 9421 §3.1, asked for as in §5)."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

from keys.httpsig import Request, Response, SignatureError, content_digest, sf
from keys.httpsig.accept import SignatureRequest, parse_accept_signature
from keys.httpsig.signing import sign
from keys.server_keys import RESPONSE_LIFETIME, ServerSigner
from keys.wire import wire_request
from project.errors import DomainError

LABEL = "sig1"
TAG = "datafold-response"
DIRECTORY_TAG = "http-message-signatures-directory"
BODILESS = frozenset({204, 304})


def wants_signature(request: HttpRequest) -> bool:
    return settings.DATAFOLD_SIGN_RESPONSES or "HTTP_ACCEPT_SIGNATURE" in request.META


def answered_request(request: HttpRequest) -> Request | None:
    """The request as the signature's `;req` components see it; None where nobody can sign for it.

    Its body is none of them, and stays on the wire: nobody has verified yet who sends it.
    """
    try:
        return wire_request(request, read_body=False)
    except (SignatureError, DomainError):
        return None


def sign_response(
    response: HttpResponse, *, answers: Request, accept_signature: str, signer: ServerSigner, now: datetime
) -> bool:
    """Add Content-Digest, Signature-Input and Signature.

    Args:
        answers: the request.
        accept_signature: its Accept-Signature field, "" if it has none.

    Returns:
        False if nothing was signed: what was asked for cannot be, or must not be (RFC 9421 §5.1 lets
        the server ignore it).
    """
    patch_vary_headers(response, ["Accept-Signature"])
    if "Signature" in response:
        return False
    has_body = answers.method != "HEAD" and response.status_code not in BODILESS
    if has_body and "Content-Digest" not in response:
        response["Content-Digest"] = content_digest(response.content)
    message = Response(
        status=response.status_code,
        fields={name.lower(): value for name, value in response.items()},
        body=response.content if has_body else b"",
        request=answers,
    )
    for wanted in _wanted(accept_signature, message, signer):
        params: dict[str, sf.BareItem] = {
            "created": int(now.timestamp()),
            "expires": int((now + RESPONSE_LIFETIME).timestamp()),
            "keyid": signer.thumbprint,
            "alg": signer.algorithm,
            "tag": wanted.tag or TAG,
        }
        if wanted.nonce is not None:
            params["nonce"] = wanted.nonce
        try:
            signature_input, signature = sign(
                message,
                label=wanted.label,
                components=list(wanted.components),
                params=params,
                private_key=signer.private_key,
            )
        except SignatureError:
            continue
        response["Signature-Input"], response["Signature"] = signature_input, signature
        return True
    return False


def _wanted(accept_signature: str, message: Response, signer: ServerSigner) -> list[SignatureRequest]:
    """The signatures that were asked for and may be given, or the usual one."""
    if not accept_signature:
        return _usual(message)
    try:
        asked = parse_accept_signature(accept_signature)
    except SignatureError:
        return []
    return [
        wanted
        for wanted in asked
        if wanted.alg in (None, signer.algorithm)
        and wanted.keyid in (None, signer.thumbprint)
        and _may_be_claimed(wanted.tag)
    ]


def _usual(message: Response) -> list[SignatureRequest]:
    fields = [name for name in ("content-digest", "content-type") if name in message.fields]
    names = " ".join(['"@status"', *(f'"{name}"' for name in fields), '"@method";req', '"@target-uri";req'])
    return parse_accept_signature(f"{LABEL}=({names});created")


def _may_be_claimed(tag: str | None) -> bool:
    """A tag says what a signature is for. Those of the server's other signatures are not for the asking:
    a body of the caller's making would pass for a key directory."""
    return tag is None or tag == TAG or not tag.startswith(("datafold", DIRECTORY_TAG))
