"""What a request may take, from the settings."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

MEMORY = 64 * 1024 * 1024
BUFFERED = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """
    Attributes:
        read: seconds for a request's head, and between two pieces of its body.
        request: seconds for all of it, from its first byte to its answer's last.
        buffered: bytes of a body that is waited for; a larger one is read by the application, or refused.
        memory: bytes that a worker holds for requests that are not complete or wait for a thread, and answers
            that are not read.
    """

    read: float
    request: float
    buffered: int
    memory: int = MEMORY

    @classmethod
    def from_settings(cls) -> Limits:
        return cls(
            read=settings.DATAFOLD_READ_TIMEOUT_SECONDS,
            request=settings.DATAFOLD_REQUEST_TIMEOUT_SECONDS,
            buffered=min(settings.DATAFOLD_MAX_BODY_BYTES, BUFFERED),
        )
