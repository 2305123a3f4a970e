"""Refusals of the domain: a stable code, a sentence for a person, details for a program.

They know nothing of HTTP; `project.api.errors` maps codes to status codes.
"""

from __future__ import annotations

from typing import Any, ClassVar


class DomainError(Exception):
    """A request that is understood and refused.

    Args:
        message: what happened, why, and what to do now; one or two sentences.
        details: JSON-able facts for programs; never a secret.
    """

    code: ClassVar[str] = "INVALID_REQUEST"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
