"""What the command says: sentences and tables for a person, one JSON object for a script."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from datafold_sdk.errors import (
    ClockError,
    DataFoldError,
    RateLimitedError,
    ServiceUnavailableError,
    SignatureError,
)


class Output:
    """Writes results to standard output and errors to standard error.

    Args:
        as_json: give the whole answer as one JSON object on standard output, errors too.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def result(self, answer: Any, text: str) -> None:
        """The answer itself for a script, `text` for a person, with what the server warns of."""
        _say(json.dumps(answer, indent=2) if self.as_json else _printable(text))
        meta = answer.get("meta") if isinstance(answer, dict) else None
        warnings = meta.get("warnings") if isinstance(meta, dict) else None
        for warning in warnings if isinstance(warnings, list) else ():
            self.note(f"datafold: {warning}")

    def note(self, text: str) -> None:
        """Something a person should know, beside the result."""
        if not self.as_json:
            self.warn(text)

    def warn(self, text: str) -> None:
        """Something that a script's log must show, too."""
        _say(_printable(text), to_stderr=True)

    def error(self, error: DataFoldError) -> None:
        """What happened, why, what to do now, and the request id to ask about."""
        if self.as_json:
            _say(json.dumps(error.to_dict(), indent=2, default=str))
            return
        lines = [f"datafold: {error.message} [{error.code}]"]
        lines += [f"  why:  {error.cause}"] if error.cause else []
        cure = error.cure or _standing_advice(error)
        lines += [f"  do:   {cure}"] if cure else []
        said = (error.message, error.cause, cure)
        lines += [
            f"  {name}: {_brief(value)}"
            for name, value in error.details.items()
            if name not in ("cause", "cure") and value not in said
        ]
        lines += [f"  request id: {error.request_id}"] if error.request_id else []
        _say(_printable("\n".join(lines)), to_stderr=True)


def facts(title: str, data: Mapping[str, Any], names: Sequence[str] = ()) -> str:
    """A heading and aligned `name value` lines; all members, or those named that are there."""
    shown = [name for name in (names or data) if data.get(name) not in (None, "", {}, [])]
    width = max((len(name) for name in shown), default=0)
    return "\n".join([title, *(f"  {name:<{width}}  {_brief(data[name])}" for name in shown)])


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, empty: str) -> str:
    """Rows under their headings; a sentence where there are none."""
    present = [name for name in columns if any(row.get(name) is not None for row in rows)]
    if not rows or not present:
        return empty
    cells = [
        [name.upper() for name in present],
        *([_brief(row.get(name, "")) for name in present] for row in rows),
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(present))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def _say(text: str, *, to_stderr: bool = False) -> None:
    """Print a text. That its reader has gone changes nothing about what was done."""
    stream = sys.stderr if to_stderr else sys.stdout
    try:
        print(text, file=stream, flush=stream is not None)
    except OSError as error:
        # Without this, Python complains once more on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if not isinstance(error, BrokenPipeError):
            raise


def _brief(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 400 else text[:399] + "…"


def _printable(text: str) -> str:
    """Text without what could drive the terminal: some of it comes from the server."""
    return "".join(
        char if char == "\n" or char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text
    )


def _standing_advice(error: DataFoldError) -> str | None:
    if isinstance(error, (RateLimitedError, ServiceUnavailableError)) and error.retry_after is not None:
        return f"Try again in {error.retry_after:.0f} s."
    if isinstance(error, SignatureError) and not isinstance(error, ClockError) and error.request_id:
        return "An operator finds this refusal, explained, by its request id."
    return None
