"""Answering with a rendered version: validators, caching, and no second encoding."""

from __future__ import annotations

import json
from hashlib import sha256

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from rest_framework.request import Request
from rest_framework.response import Response

from project.api.envelope import base_meta
from schemas.reading import Rendered

YEAR = 365 * 86_400


def answer_version(request: Request, rendered: Rendered, *, may_change: bool = False) -> HttpResponse:
    """200 with the version in the envelope, or 304 if the caller has it.

    The tag is weak: time and request id in the envelope differ from answer to answer.

    Args:
        may_change: another version may stand at this address the next moment.
    """
    etag = "W/" + quote_etag(rendered.tag)
    meta = json.dumps(base_meta(), separators=(",", ":")).encode()
    body = b'{"success":true,"data":' + rendered.data + b',"error":null,"meta":' + meta + b"}"
    response = HttpResponse(body, content_type="application/json")
    django_request: HttpRequest = request._request
    answer = get_conditional_response(django_request, etag=etag, response=response)
    answer = answer if isinstance(answer, HttpResponse) else response
    answer["ETag"] = etag
    answer["Cache-Control"] = cache_control(rendered, may_change=may_change)
    return answer


def conditional(request: Request, response: Response) -> HttpResponse:
    """A changing answer with a tag of its data: 304 if the caller has that already."""
    digest = sha256(json.dumps(response.data, sort_keys=True, default=str).encode())
    etag = "W/" + quote_etag(digest.hexdigest()[:32])
    answer = get_conditional_response(request._request, etag=etag, response=response)
    answer = answer if isinstance(answer, HttpResponse) else response
    answer["ETag"] = etag
    answer["Cache-Control"] = "private, no-cache"
    return answer


def cache_control(rendered: Rendered, *, may_change: bool = False) -> str:
    """An answer to a signed request is for its signer alone; without signatures it is for all.

    What waits for approval may be approved the next moment, so it is not kept.
    """
    if not rendered.served:
        return "no-store"
    who = "private" if settings.DATAFOLD_ENABLE_AUTH and settings.DATAFOLD_REQUIRE_AUTH else "public"
    return f"{who}, no-cache" if may_change else f"{who}, max-age={YEAR}, immutable"
