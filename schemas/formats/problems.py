"""What is wrong with a document, and where."""

from collections.abc import Iterator
from dataclasses import dataclass

from schemas.formats.limits import MAX_PROBLEMS


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    `code` is stable and upper-case, `pointer` is an RFC 6901 JSON pointer into the document ("" is
    the whole document), `message` is one sentence for a person.
    """

    code: str
    pointer: str
    message: str

    def to_dict(self) -> dict[str, str]:
        return {"code": self.code, "pointer": self.pointer, "message": self.message}


class FormatError(ValueError):
    """A schema document cannot be used for what was asked.

    `code` is stable, `details` holds the problems as a list of dictionaries where there are any.
    """

    def __init__(self, code: str, message: str, *, problems: list[Problem] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.problems = problems or []
        self.details: dict[str, object] = {"problems": [problem.to_dict() for problem in self.problems]}


class TooManyProblemsError(Exception):
    """Raised by `ProblemList.add` once the list is full; `ProblemList.collecting` ends on it."""


class ProblemList:
    """A bounded list of problems."""

    def __init__(self, limit: int = MAX_PROBLEMS) -> None:
        self._problems: list[Problem] = []
        self._limit = limit

    def add(self, code: str, pointer: str, message: str) -> None:
        """Raises `TooManyProblemsError` when the list is full, so that checking stops."""
        self._problems.append(Problem(code, pointer, message))
        if len(self._problems) >= self._limit:
            raise TooManyProblemsError

    def __len__(self) -> int:
        return len(self._problems)

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._problems)

    def as_list(self) -> list[Problem]:
        return list(self._problems)


def step(pointer: str, *tokens: str | int) -> str:
    """`pointer` extended by `tokens`, escaped as RFC 6901 section 3 says."""
    for token in tokens:
        pointer += "/" + (
            str(token) if isinstance(token, int) else token.replace("~", "~0").replace("/", "~1")
        )
    return pointer


def shown(value: object, limit: int = 60) -> str:
    """A value as it may stand in a message: never longer than `limit` characters."""
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    text = (
        {None: "null", True: "true", False: "false"}.get(value)
        if value is None or isinstance(value, bool)
        else None
    )
    text = text if text is not None else repr(value)[: limit + 2]
    return text if len(text) <= limit else text[: limit - 1] + "…"
