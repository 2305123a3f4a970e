"""What a compatibility check says: modes, differences, the report, the refusals."""

from dataclasses import dataclass, field
from typing import Any, Final, Literal

Mode = Literal[
    "NONE",
    "BACKWARD",
    "FORWARD",
    "FULL",
    "BACKWARD_TRANSITIVE",
    "FORWARD_TRANSITIVE",
    "FULL_TRANSITIVE",
]
MODES: Final[tuple[Mode, ...]] = (
    "NONE",
    "BACKWARD",
    "FORWARD",
    "FULL",
    "BACKWARD_TRANSITIVE",
    "FORWARD_TRANSITIVE",
    "FULL_TRANSITIVE",
)

Policy = Literal["exact", "lenient"]
POLICIES: Final[tuple[Policy, ...]] = ("exact", "lenient")

Direction = Literal["BACKWARD", "FORWARD"]

NOT_FOUND: Final = "not found"


class CompatibilityError(ValueError):
    """A check cannot be made. `code` is stable, `details` says more where there is more."""

    code = "COMPATIBILITY_NOT_CHECKABLE"

    def __init__(
        self, message: str, *, code: str | None = None, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.details = details or {}


class CompatibilityLimit(CompatibilityError):
    """Two schemas are too large, too deep or too entangled to be compared in bounded time."""

    code = "SCHEMA_TOO_COMPLEX"


@dataclass(frozen=True, slots=True)
class Counterexample:
    """A document that the writer's schema admits and the reader's refuses: checked against both."""

    document: Any
    reason: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between two versions.

    `direction` BACKWARD: documents of the old version, read with the new one; FORWARD: the other way
    round. `breaking` differences decide the verdict. `old_pointer` and `new_pointer` are JSON
    pointers into the two schema documents, None where a side has nothing to point at. `version` is
    the index of the old version in a transitive check.
    """

    code: str
    old_pointer: str | None
    new_pointer: str | None
    message: str
    direction: Direction
    breaking: bool
    counterexample: Counterexample | None = None
    version: int | None = None

    def to_dict(self) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "code": self.code,
            "old_pointer": self.old_pointer,
            "new_pointer": self.new_pointer,
            "message": self.message,
            "direction": self.direction,
            "breaking": self.breaking,
        }
        if self.counterexample is not None:
            entry["counterexample"] = self.counterexample.document
            entry["counterexample_refused_because"] = self.counterexample.reason
        elif self.breaking:
            entry["witness"] = NOT_FOUND
        if self.version is not None:
            entry["version"] = self.version
        return entry


@dataclass(frozen=True, slots=True)
class Report:
    """The verdict, how it was reached and why."""

    compatible: bool
    mode: Mode
    policy: Policy
    differences: list[Difference] = field(default_factory=list)

    @property
    def witness(self) -> str | None:
        """ "verified" or "not found" for an incompatible verdict, None for a compatible one."""
        if self.compatible:
            return None
        found = any(difference.counterexample for difference in self.differences if difference.breaking)
        return "verified" if found else NOT_FOUND

    def to_dict(self) -> dict[str, Any]:
        return {
            "compatible": self.compatible,
            "mode": self.mode,
            "policy": self.policy,
            "witness": self.witness,
            "differences": [difference.to_dict() for difference in self.differences],
        }
