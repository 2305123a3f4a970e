"""Are two versions of a schema compatible, and if not: which document shows it?

Pure: no Django, no clock, no I/O. A verdict is exact wherever it can be: "compatible" is given only
where it is proven, and a counterexample is shown only after both schemas' validators have spoken.
Where neither a proof nor a counterexample is found the verdict is "incompatible", and the report
says that no witness was found.
"""

from collections.abc import Sequence
from typing import Any

from schemas.compatibility.directions import Checked, check_direction, check_input
from schemas.compatibility.report import (
    MODES,
    POLICIES,
    CompatibilityError,
    CompatibilityLimit,
    Counterexample,
    Difference,
    Direction,
    Mode,
    Policy,
    Report,
)
from schemas.formats.json_schema_compile import Resources

__all__ = [
    "MODES",
    "POLICIES",
    "CompatibilityError",
    "CompatibilityLimit",
    "Counterexample",
    "Difference",
    "Direction",
    "Mode",
    "Policy",
    "Report",
    "check",
    "check_history",
]


def check(
    format: str,  # noqa: A002
    old: Any,
    new: Any,
    mode: Mode,
    *,
    policy: Policy = "exact",
    old_resources: Resources | None = None,
    new_resources: Resources | None = None,
) -> Report:
    """Whether `new` is compatible with `old`, two sound documents of one `format`.

    BACKWARD: everything that `old` admits can be read with `new`; FORWARD: the other way round;
    FULL: both; NONE: always compatible. The transitive modes are those of `check_history` with a
    history of one. `policy` "lenient" ignores that an optional property is new in an open model.
    `…_resources` are the registered schemas that `datafold:NAME/VERSION` references name (JSON Schema).

    Raises `CompatibilityLimit` (`SCHEMA_TOO_COMPLEX`) where it cannot be told in bounded time, and
    `CompatibilityError` for an unknown format, mode or policy, or for a document that is no schema.
    """
    check_input(format, mode, policy)
    sides = Checked(format, old, old_resources), Checked(format, new, new_resources)
    differences = [
        difference
        for direction in _directions(mode)
        for difference in check_direction(*sides, direction=direction, policy=policy)
    ]
    return _report(differences, mode, policy)


def check_history(
    format: str,  # noqa: A002
    versions_old_to_new: Sequence[Any],
    new: Any,
    mode: Mode,
    *,
    policy: Policy = "exact",
    resources: Resources | None = None,
) -> Report:
    """Whether `new` may follow the versions before it, oldest first.

    The transitive modes check against all of them, the others against the last only. Each
    difference says by its `version` which one it concerns, as an index into the sequence. Without
    earlier versions everything is compatible. Raises as `check` does.
    """
    check_input(format, mode, policy)
    side = Checked(format, new, resources)
    differences: list[Difference] = []
    for index, old in enumerate(versions_old_to_new):
        if not mode.endswith("_TRANSITIVE") and index < len(versions_old_to_new) - 1:
            continue
        for direction in _directions(mode):
            before = Checked(format, old, resources)
            differences += check_direction(before, side, direction=direction, policy=policy, version=index)
    return _report(differences, mode, policy)


def _directions(mode: Mode) -> tuple[Direction, ...]:
    if mode == "NONE":
        return ()
    if mode.startswith("FULL"):
        return ("BACKWARD", "FORWARD")
    return ("BACKWARD",) if mode.startswith("BACKWARD") else ("FORWARD",)


def _report(differences: list[Difference], mode: Mode, policy: Policy) -> Report:
    return Report(not any(difference.breaking for difference in differences), mode, policy, differences)
