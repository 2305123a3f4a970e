"""What a call wants to be signed: the Accept-Signature field of a 401 (RFC 9421 §5)."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from keys.httpsig import PROFILES, accept_signature_for


def demand_for(request: Any) -> str:
    """The field's value for this very request: whether it has a body decides which components are due."""
    has_body = request.META.get("CONTENT_LENGTH") not in ("", "0", None)
    return accept_signature_for(
        PROFILES[settings.DATAFOLD_DEFAULT_PROFILE], method=request.method, has_body=has_body
    )
