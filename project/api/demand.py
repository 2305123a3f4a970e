"""What a call wants to be signed: the Accept-Signature field of a 401 (RFC 9421 §5)."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from keys.httpsig import PROFILES, Policy, accept_signature_for
from project.context import current_context


def demand_for(request: Any, view: Any) -> str:
    """The field's value for this very request: whether it has a body decides which components are due.

    Args:
        view: asks for a further signature with each of its `further_signatures`, which are tags.
    """
    has_body = request.META.get("CONTENT_LENGTH") not in ("", "0", None)
    tags = ("datafold", *getattr(view, "further_signatures", ()))
    return ", ".join(
        accept_signature_for(
            demanded_policy(), method=request.method, has_body=has_body, label=f"sig{number}", tag=tag
        )
        for number, tag in enumerate(tags, start=1)
    )


def demanded_policy() -> Policy:
    """That of the client which the refused signature names, else that of a new client."""
    return PROFILES[current_context().profile or settings.DATAFOLD_DEFAULT_PROFILE]
