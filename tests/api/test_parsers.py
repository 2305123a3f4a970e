"""What a hostile body of the largest size costs the reader of JSON: counted, not timed."""

from __future__ import annotations

import gc
import io
import json
import sys
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ParseError

from project.api.parsers import MAX_DEPTH, StrictJSONParser

SIZE = 1_048_576


def parse(body: bytes) -> Any:
    return StrictJSONParser().parse(io.BytesIO(body))


def fill(*parts: bytes) -> bytes:
    """The first and the last part around as many of the middle one as fit."""
    first, often, last = parts
    return first + often * ((SIZE - len(first) - len(last)) // len(often)) + last


HOSTILE = {
    "blanks": fill(b"[", b" ", b"]"),
    "digits": fill(b"", b"1", b""),
    "opening brackets": fill(b"", b"[", b""),
    "closing brackets": fill(b"", b"]", b""),
    "empty lists": fill(b"[0", b",[]", b"]"),
    "towers": fill(b"[0", b"," + b"[" * 60 + b"]" * 60, b"]"),
    "one long string": fill(b'"', b"a", b'"'),
    "brackets in strings": fill(b"[0", b',"["', b"]"),
    "escapes": fill(b'["', b'\\"[', b'"]'),
    "a string without end": fill(b'"', b"[\\\\", b""),
    "quotes": fill(b"", b'"', b""),
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_no_line_of_ours_runs_for_each_character(body: bytes) -> None:
    lines = 0

    def count(frame: Any, event: str, _: Any) -> Any:
        nonlocal lines
        lines += event == "line" and frame.f_code.co_filename.endswith("parsers.py")
        return count

    traced = sys.gettrace()
    sys.settrace(count)
    try:
        parse(body)
    except ParseError:
        pass
    finally:
        sys.settrace(traced)
    assert 0 < lines < 100


@pytest.mark.parametrize("shape", ["towers", "empty lists", "opening brackets"])
def test_nothing_is_collected_while_a_body_becomes_objects_and_everything_after_it(shape: str) -> None:
    """A cycle cannot come out of JSON, and each pass over all of its lists costs as much as reading it."""
    gc.collect()
    before = gc.get_stats()[2]["collections"]
    with suppress(ParseError):
        parse(HOSTILE[shape])
    assert gc.get_stats()[2]["collections"] <= before + 1
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        parse(b"[]")
        assert not gc.isenabled()
    finally:
        gc.enable()


VALUES = st.recursive(
    st.text(alphabet='[]{}"\\aé\n') | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='[{"\\'), inner, max_size=3),
    max_leaves=20,
)


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


@given(value=VALUES, levels=st.integers(MAX_DEPTH - 8, MAX_DEPTH + 1), ascii_only=st.booleans())
def test_brackets_count_where_they_nest_and_nowhere_else(value: Any, levels: int, ascii_only: bool) -> None:
    for _ in range(levels):
        value = [value, "]" * 9, []] if levels % 2 else {"[": value, "\\": "}"}
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    if depth_of(value) <= MAX_DEPTH:
        assert parse(body) == value
    else:
        with pytest.raises(ParseError, match="nested over"):
            parse(body)
