"""`/openapi.json`: the OpenAPI document, made once by each process."""

from __future__ import annotations

import json
from functools import lru_cache
from hashlib import sha256

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator


@gzip_page
@require_safe
def openapi_document(request: HttpRequest) -> HttpResponseBase:
    """The document as JSON, whatever is asked for; 304 for who has it."""
    document, etag = _document()
    response = HttpResponse(document, content_type="application/json")
    response["ETag"] = etag
    response["Cache-Control"] = "public, max-age=300"
    return get_conditional_response(request, etag=etag, response=response) or response


@lru_cache(maxsize=1)
def _document() -> tuple[bytes, str]:
    """Making it takes half a second of processor, which nobody may ask for again and again."""
    generator = SchemaGenerator()  # type: ignore[no-untyped-call]
    schema = generator.get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    document = json.dumps(schema, separators=(",", ":"), ensure_ascii=False).encode()
    return document, "W/" + quote_etag(sha256(document).hexdigest()[:32])
