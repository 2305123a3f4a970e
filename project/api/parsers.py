"""JSON as strictly as signed content deserves."""

from __future__ import annotations

import gc
import json
import math
import re
from array import array
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import accumulate
from typing import IO, Any, NoReturn

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

MAX_DEPTH = 64
# Deeper by one, or (as a signed byte) by minus one.
_STEPS = bytes(1 if character in b"[{" else 255 for character in range(256))
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class StrictJSONParser(JSONParser):
    """Refuses duplicate names, halves of characters, numbers beyond a double, NaN, and nesting over `MAX_DEPTH`.

    Two readers of one signed document must not see two different values (RFC 7493).
    """

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        raw = stream.read()
        try:
            text = raw.decode("utf-8") if isinstance(raw, bytes) else raw
            _check_depth(text)
            with _without_collection():
                value = json.loads(
                    text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite
                )
            if _SURROGATE.search(text):
                json.dumps(value, ensure_ascii=False).encode()
            return value
        except UnicodeDecodeError as error:
            raise ParseError("The body is not UTF-8.") from error
        except UnicodeEncodeError as error:
            raise ParseError("The body escapes half of a surrogate pair, which is no character.") from error
        except (ValueError, RecursionError) as error:
            raise ParseError(f"The body is not valid JSON: {str(error)[:200]}.") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"the name {twice[:80]!r} occurs twice in one object")
    return result


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:40]} is beyond what a double holds")
    return number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _check_depth(text: str) -> None:
    """Refuse nesting over `MAX_DEPTH`, by few passes of C: a loop over the characters would cost more than the parser.

    A backslash outside of a string is not JSON, so it does not matter what becomes of it here.
    """
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    outside = text.replace("\\\\", "").replace('\\"', "").split('"')[::2]
    brackets = "".join(outside).encode("ascii", "ignore").translate(_STEPS, _NO_BRACKETS)
    if max(accumulate(array("b", brackets)), default=0) > MAX_DEPTH:
        raise ValueError(f"it is nested over {MAX_DEPTH} levels deep")


@contextmanager
def _without_collection() -> Iterator[None]:
    """JSON makes no cycles: looking for some, again and again while lists come, takes longer than reading them.

    The switch is the process's. Whoever turned it off turns it on again, so it is on once nobody reads any more.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
