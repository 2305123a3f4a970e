"""Under ASGI nothing starts, and nothing is let through where it is started all the same."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from project.api.catalogue import status_of
from project.asgi import CODE, STATUS, application


def exchange(scope: dict[str, Any], *received: dict[str, Any]) -> list[dict[str, Any]]:
    """What the application sends on this scope."""
    waiting, sent = list(received), []

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(application(scope, receive, send))
    return sent


def test_a_server_that_asks_does_not_start() -> None:
    (answer,) = exchange({"type": "lifespan"}, {"type": "lifespan.startup"})
    assert answer["type"] == "lifespan.startup.failed"
    assert "gunicorn -c gunicorn.conf.py project.wsgi:application" in answer["message"]


def test_every_request_is_refused_in_the_envelope() -> None:
    start, body = exchange({"type": "http", "path": "/health/live"})
    answer = json.loads(body["body"])
    assert start["status"] == answer["error"]["status"] == STATUS == status_of(CODE)
    assert list(answer) == ["success", "data", "error", "meta"]
    assert answer["error"]["code"] == CODE
    assert answer["meta"]["path"] == "/health/live"
    assert exchange({"type": "websocket"}) == [{"type": "websocket.close"}]
