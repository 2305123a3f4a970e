"""Look for secrets in the files of this project: `python .ci/scan_secrets.py [FOLDER]`; exit 1 if there are any.

A line that only looks like one says so with "not-a-secret" and why, on it or on the line before.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PATTERNS = {
    "private key": re.compile(
        r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s*(?:\\n|\n)?[A-Za-z0-9+/]{40}", re.M
    ),
    "cloud key": re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[\w-]{35}\b"),
    "token": re.compile(r"\b(?:ghp|gho|ghs|glpat|xox[abpr]|sk_live|npm|pypi)[_-][\w-]{20,}"),
    "JSON web token": re.compile(r"\beyJ[\w-]{15,}\.eyJ[\w-]{15,}\.[\w-]{20,}"),
    "password in a URL": re.compile(
        r"\b[a-z][a-z0-9+]*://[\w.-]+:(?!password@)[^\s{}$:@/\"'<>…]{8,}@[\w.-]+"
    ),
    "assigned secret": re.compile(
        r"""(?i)\b\w*(?:secret|password|passwd|api_?key|token)\w*["']?\s*[:=]\s*["'](?=[^"']*\d)[A-Za-z0-9+/_=-]{32,}["']"""
    ),
}
EXCUSE = "not-a-secret"
SKIPPED = {".png", ".svg", ".ico", ".woff2", ".lock"}
# Hashes of packages; tests and benchmarks make up keys of their own.
UNREAD = re.compile(r"^(?:requirements(?:-dev)?\.txt|(?:sdk/)?tests/|benchmarks/)")


def files(root: Path) -> Iterator[Path]:
    """What git tracks or would track; every file where there is no git."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607  the caller's own git
        cwd=root,
        capture_output=True,
        text=True,
    )
    names = (
        listed.stdout.splitlines()
        if listed.returncode == 0
        else [str(p.relative_to(root)) for p in root.rglob("*")]
    )
    for name in names:
        path = root / name
        if (
            path.is_file()
            and path.suffix not in SKIPPED
            and (not UNREAD.match(name) or path.suffix in {".pem", ".env"})
        ):
            yield path


def scan(path: Path) -> Iterator[tuple[int, str]]:
    """(line number, kind) of everything in the file that looks like a secret."""
    text = path.read_text(errors="replace")
    lines = text.splitlines()
    for kind, pattern in PATTERNS.items():
        for match in pattern.finditer(text):
            number = text.count("\n", 0, match.start()) + 1
            if EXCUSE not in "".join(lines[max(0, number - 2) : number]):
                yield number, kind


def main(root: Path) -> int:
    found = [(path, number, kind) for path in files(root) for number, kind in scan(path)]
    for path, number, kind in found:
        sys.stderr.write(f"{path.relative_to(root)}:{number}: looks like a {kind}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()))
