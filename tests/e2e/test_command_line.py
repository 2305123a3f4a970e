"""The command line's first five minutes against the running server: it prints what the README shows."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from datafold_sdk.cli import main

from tests.support.server import DataFoldServer
from tests.support.stack import PROJECT

Command = Callable[..., int]
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
VARYING = [
    (r"http://127\.0\.0\.1:\d+", "SERVER"),
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID"),
    (r"(thumbprint +)[\w-]{43}", r"\1THUMBPRINT"),
    (r"((?:key|billing|default-)[ -]?)[\w-]{8}(?=[ :.])", r"\1THUMB"),
    (r"\d{4}-\d\d-\d\d", "DATE"),
]


@pytest.fixture
def command(datafold_server: DataFoldServer, tmp_path: Path) -> Command:
    """Run `datafold …` in this process, with a home of its own."""
    environ = {"HOME": str(tmp_path), "DATAFOLD_SERVER_URL": datafold_server.base_url}
    return lambda *arguments: main(arguments, environ)


def steady(text: str) -> str:
    """`text` without what differs from run to run."""
    for pattern, name in VARYING:
        text = re.sub(pattern, name, text)
    return text


def test_the_readme_shows_what_is_printed(
    command: Command,
    datafold_server: DataFoldServer,
    unique: Callable[[str], str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    client_id = unique("readme")
    shown = [step for block in CONSOLE.findall((PROJECT / "README.md").read_text()) for step in steps(block)]
    assert [call.split()[0] for call, _ in shown] == [".venv/bin/datafold"] * 2 + [
        "make",
        ".venv/bin/datafold",
    ]
    for call, answer in shown:
        words = shlex.split(call.replace("billing", client_id))
        if words[0] == "make":
            printed = datafold_server.manage(*shlex.split(words[2].removeprefix("CMD="))).stdout
        else:
            command(*words[1:])
            captured = capsys.readouterr()
            printed = captured.err + captured.out
        assert steady(printed.replace(client_id, "billing")).strip() == steady(answer).strip()


def steps(block: str) -> list[tuple[str, str]]:
    """Each call of a console block, and what follows it."""
    calls = [part.partition("\n") for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part.strip()]
    return [(call, answer) for call, _, answer in calls]


def test_status_tells_of_a_key_that_waits(
    command: Command, unique: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    client_id = unique("asking")
    assert command("register", "--client-id", client_id) == 0
    capsys.readouterr()
    assert command("status") == 0
    waiting = capsys.readouterr()
    assert re.search(r"status +pending", waiting.out)
    assert "waits for an operator's approval" in waiting.err
