"""The text format of `make run`: what a request brings stays in its own field of its own line."""

from __future__ import annotations

import logging
import sys

import pytest

from project.logs import TextFormatter
from tests.support.client import WireClient


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/%0a12:00:00%20INFO%20datafold.access%20forged", r'path="/\n12:00:00 INFO datafold.access forged"'),
        ("/%0d%1b%5B2J%c2%9b1m", r"path=/\r\x1b[2J\x9b1m"),
        ("/%e2%80%aegnp", r"path=/\u202egnp"),
        ("/x%20status=200", 'path="/x status=200"'),
        ("/%C3%A9t%C3%A9", "path=/été"),
    ],
)
def test_a_path_forges_no_line_and_drives_no_terminal(
    client: WireClient, db: None, caplog: pytest.LogCaptureFixture, path: str, shown: str
) -> None:
    with caplog.at_level(logging.INFO, "datafold.access"):
        client.get(path)
    lines = [TextFormatter().format(record) for record in caplog.records if record.name == "datafold.access"]
    assert len(lines) == 2
    for line in lines:
        assert shown in line
        assert line.isprintable()


def test_the_lines_of_a_traceback_are_its_own() -> None:
    try:
        raise ValueError("no\n12:00:00 INFO datafold.access forged \x1b[2J")
    except ValueError:
        record = logging.makeLogRecord({"msg": "broken", "levelname": "ERROR", "exc_info": sys.exc_info()})
    first, *rest = TextFormatter().format(record).split("\n")
    assert first.endswith("broken")
    assert all(line.startswith("  ") and line.isprintable() for line in rest)
    assert rest[-1].endswith(r"\x1b[2J")
