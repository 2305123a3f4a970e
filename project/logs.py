"""Structured logs: one JSON object per line, or text for a person's terminal. Never a secret."""

from __future__ import annotations

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
    """`12:00:01 INFO datafold.access request ended method=GET status=200 …`"""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        extra = " ".join(f"{key}={value}" for key, value in vars(record).items() if key not in _STANDARD)
        return f"{line} {extra}" if extra else line
