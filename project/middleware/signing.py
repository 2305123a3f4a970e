"""Signed responses, for callers that ask for them or for all (DATAFOLD_SIGN_RESPONSES)."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone

from keys import server_keys
from keys.response_signing import answered_request, sign_response, wants_signature
from project.errors import DomainError

log = logging.getLogger(__name__)


class ResponseSigningMiddleware:
    """Inside the layers that only add fields, outside everything that writes the body.

    A response that cannot be signed goes out unsigned: whoever needs the signature looks for it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not wants_signature(request):
            return self.get_response(request)
        answers = answered_request(request)
        response = self.get_response(request)
        if answers is None or not isinstance(response, HttpResponse):
            return response
        try:
            sign_response(
                response,
                answers=answers,
                accept_signature=request.META.get("HTTP_ACCEPT_SIGNATURE", ""),
                signer=server_keys.current_signer(),
                now=timezone.now(),
            )
        except (DomainError, DatabaseError) as error:
            log.warning("response not signed: %s", error)
        return response
