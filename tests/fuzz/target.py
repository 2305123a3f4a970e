"""One target under libFuzzer: ``python -m tests.fuzz.target NAME [libFuzzer options] [corpus]``."""

from __future__ import annotations

import sys

import atheris  # type: ignore[import-untyped, import-not-found, unused-ignore]  # of requirements-fuzz.txt

with atheris.instrument_imports(include=["keys.httpsig"]):
    from tests.fuzz.targets import TARGETS

if __name__ == "__main__":
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, lambda data: target(data.decode("latin-1")))
    atheris.Fuzz()
