"""``python -m tests.vectors``: a line for each file, and an exit status that a build can trust."""

import json
from pathlib import Path

import pytest

from tests.vectors.__main__ import main

GOOD: dict[str, object] = {
    "id": "good",
    "field": "Content-Digest",
    "field_lines": ["sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"],
    "body_base64": "",
    "expected": "match",
}


def run(folder: Path, cases: list[dict[str, object]]) -> int:
    (folder / "content_digest.json").write_text(json.dumps({"cases": cases}), encoding="utf-8")
    return main([str(folder)])


def test_a_complete_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, [GOOD, {**GOOD, "body_base64": "AAAA", "expected": "mismatch"}]) == 0
    assert capsys.readouterr().out == "content_digest.json 2/2\n"


def test_a_file_that_falls_short(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, [GOOD, {**GOOD, "id": "wrong", "expected": "mismatch"}]) == 1
    printed = capsys.readouterr()
    assert printed.out == "content_digest.json 1/2\n"
    assert "wrong: match, not mismatch" in printed.err


def test_an_empty_folder_is_not_a_success(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 2
    assert run(tmp_path, []) == 1
