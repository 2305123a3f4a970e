"""The secret scan of `make check`: it finds what it should, and this project is clean."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.stack import PROJECT


def scan(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROJECT / ".ci/scan_secrets.py"), str(folder)],
        capture_output=True,
        text=True,
        timeout=120,
    )


PLANTED = {
    "private key": "-----BEGIN PRIVATE " + "KEY-----\nMC4CAQAwBQYDK2VwBCIEIKJ1yFVlF1Yh3zAJ8Wlz0aH2v8k3m5x7\n",
    "cloud key": "key = AKIA" + "ABCDEFGHIJKLMNOP",
    "token": "ghp_" + "a1b2c3d4e5f6a1b2c3d4e5f6",
    "password in a URL": "postgres://app:" + "correct-horse-1@db.internal/x",
    "assigned secret": 'SECRET_KEY = "' + "k3yk3yk3yk3yk3yk3yk3yk3yk3yk3yk3yk3y" + '"',
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_secret_is_found(kind: str, tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text("# settings\n" + PLANTED[kind])
    result = scan(tmp_path)
    assert result.returncode == 1
    assert f"settings.py:2: looks like a {kind}" in result.stderr


def test_an_excused_line_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text("# not-a-secret: an example\n" + PLANTED["assigned secret"])
    assert scan(tmp_path).returncode == 0


def test_this_project_holds_none() -> None:
    result = scan(PROJECT)
    assert result.returncode == 0, result.stderr
