"""What the current unit of work is about: request id and caller address, for logs and audit.

A context variable and not an argument through every service: the audit event and the log line
need it, the decisions in between do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from project.ratelimit import Quota


@dataclass(slots=True)
class RequestContext:
    """`request_id`: 1-64 characters; `address`: the caller's IP address or "".

    `log_fields` join the access log's line; `warnings` join `meta.warnings` of the answer; `quota` becomes
    its RateLimit fields. `profile`: that of the client which a refused signature names, or "".
    """

    request_id: str = ""
    address: str = ""
    log_fields: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    quota: Quota | None = None
    profile: str = ""


_current: ContextVar[RequestContext | None] = ContextVar("datafold_request", default=None)


def current_context() -> RequestContext:
    """The running request's context, or an empty one outside a request (commands, tasks)."""
    return _current.get() or RequestContext()


@contextmanager
def use_context(context: RequestContext) -> Iterator[RequestContext]:
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)
