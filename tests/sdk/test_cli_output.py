"""The command with a standard output that takes less than it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest


def run_alone(
    folder: Path, arguments: list[str], *, stdout: IO[bytes] | int, **environ: str
) -> subprocess.CompletedProcess[bytes]:
    """A process of its own, without a server, whose standard output is what the test says."""
    return subprocess.run(
        [sys.executable, "-m", "datafold_sdk.cli", *arguments],
        env={"HOME": str(folder), "PATH": os.environ["PATH"], **environ},
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )


def test_a_terminal_without_unicode_gets_escapes(tmp_path: Path) -> None:
    words = ["config", "client_id=\N{SNOWMAN}"]
    result = run_alone(tmp_path, words, stdout=subprocess.PIPE, PYTHONIOENCODING="ascii")
    assert result.returncode == 0, result.stderr
    assert b"\\u2603" in result.stdout


@pytest.mark.parametrize(("arguments", "code"), [(["config"], 0), (["me", "--json"], 2)])
def test_a_reader_that_has_gone_changes_no_exit_code(tmp_path: Path, arguments: list[str], code: int) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as nobody:
        result = run_alone(tmp_path, arguments, stdout=nobody)
    assert (result.returncode, result.stderr) == (code, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_result_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        result = run_alone(tmp_path, ["config"], stdout=full)
    assert result.returncode == 74
    assert b"cannot be written" in result.stderr
    assert result.stderr.count(b"\n") == 1
