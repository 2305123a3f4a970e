"""ASGI entry point: it refuses, and says what to run (docs/decisions.md).

ASGI need not hand over the request target as it stood on the wire, without which no signature can be checked,
and Django reads all of a body before anything of ours could bound it. Neither shall be found out in production.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

CODE, STATUS = "RAW_TARGET_MISSING", 500
MESSAGE = (
    "DataFold does not run on an ASGI server: signatures over the request target could not be checked. "
    "Run it on gunicorn: gunicorn -c gunicorn.conf.py project.wsgi:application."
)


async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Keep the server from starting; one that starts without asking answers each request with the reason."""
    match scope["type"]:
        case "lifespan":
            await receive()
            await send({"type": "lifespan.startup.failed", "message": MESSAGE})
        case "http":
            headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
            await send({"type": "http.response.start", "status": STATUS, "headers": headers})
            await send({"type": "http.response.body", "body": _refusal(scope["path"])})
        case _:
            await send({"type": "websocket.close"})


def _refusal(path: str) -> bytes:
    error = {"code": CODE, "message": MESSAGE, "status": STATUS, "details": {}}
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    meta = {"timestamp": now, "request_id": str(uuid.uuid4()), "path": path}
    return json.dumps({"success": False, "data": None, "error": error, "meta": meta}).encode()
