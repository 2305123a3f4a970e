"""Structured logs: one JSON object per line, or text for a person's terminal. Never a secret."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.json import JsonFormatter as BaseJsonFormatter

from project.context import current_context

_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class RequestContextFilter(logging.Filter):
    """Adds the running request's id and address to every record."""

    def filter(self, record: logging.LogRecord) -> bool:
        context = current_context()
        if context.request_id and not hasattr(record, "request_id"):
            record.request_id = context.request_id
            record.address = context.address
        return True


class JsonFormatter(BaseJsonFormatter):
    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        log_data["timestamp"] = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        log_data["level"] = record.levelname.lower()
        log_data["logger"] = record.name
        super().add_fields(log_data, record, message_dict)
        log_data.pop("taskName", None)


class TextFormatter(logging.Formatter):
    """`12:00:01 INFO datafold.access request ended method=GET status=200 …`

    What comes from outside forges no line and drives no terminal: control characters are escaped, and only
    the lines of a traceback are indented.
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging names it
        extra = [f"{key}={_shown(value)}" for key, value in vars(record).items() if key not in _STANDARD]
        return _visible(" ".join([super().formatMessage(record), *extra]))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return "\n".join(f"  {_visible(line)}" for line in super().formatException(ei).split("\n"))


def _shown(value: Any) -> str:
    """`value`, quoted where it could be taken for several fields."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) and " " in value else str(value)


def _visible(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )
