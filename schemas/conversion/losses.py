"""What a conversion leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

MAX_LOSSES: Final = 200
MAX_DEFINITIONS: Final = 2_000
"""Definitions that one conversion may write: references are written out, and could multiply."""

MAX_NESTING: Final = 24


class ConversionError(ValueError):
    """The document cannot be written in the format asked for."""

    code = "CONVERSION_IMPOSSIBLE"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True)
class Loss:
    """One thing that does not survive: where in the source it stands, and a sentence."""

    pointer: str
    message: str

    def to_dict(self) -> dict[str, str]:
        return {"pointer": self.pointer, "message": self.message}


@dataclass(frozen=True, slots=True)
class Conversion:
    """`content` is a document, or text for the programming languages."""

    format: str
    content: Any
    losses: list[Loss]


class Losses:
    """Collects losses, and counts what is written."""

    def __init__(self) -> None:
        self._losses: list[Loss] = []
        self._definitions = 0

    def add(self, pointer: str, message: str) -> None:
        if len(self._losses) < MAX_LOSSES:
            self._losses.append(Loss(pointer, message))

    def count(self, depth: int) -> None:
        """One more definition, so deep. Raises `ConversionError` when it is too much."""
        self._definitions += 1
        if self._definitions > MAX_DEFINITIONS or depth > MAX_NESTING:
            raise ConversionError(
                "With its references written out the document is too large to be converted."
            )

    def as_list(self) -> list[Loss]:
        return list(self._losses)
