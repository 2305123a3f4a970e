"""The client application out of the reading: taken from its text, and run as it stands.

The text was written for older libraries and leaves a few imports out. Only what surrounds the
application is adapted to that, never what it calls of ours.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.support.stack import PROJECT

SEEDS = Path(os.environ.get("DATAFOLD_SEEDS", PROJECT.parent / "shared" / "seeds"))
WHY_SKIPPED = f"the client application's text (000_*.txt) is not in {SEEDS}; set DATAFOLD_SEEDS"

# What the text uses and does not import.
IMPORTS = "import time\nfrom datetime import datetime\nfrom typing import Any, Dict, List, Optional\n"

# `BaseSettings` has moved to a package of its own since the text was written.
RUNNER = """
import runpy, sys
import pydantic, pydantic_settings
pydantic.BaseSettings = pydantic_settings.BaseSettings
sys.path.insert(0, ".")
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def seed_text() -> str | None:
    found = sorted(SEEDS.glob("000_*.txt"))
    return found[0].read_text() if found else None


def extract_application(text: str, folder: Path) -> None:
    """Write every file that the text's Python blocks name (`# app/….py`, `# test_….py`) below `folder`."""
    for block in re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        parts = re.split(r"^# ((?:app/|test_)[\w/]+\.py)\n", block, flags=re.MULTILINE)
        for name, source in zip(parts[1::2], parts[2::2], strict=True):
            path = folder / name
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(IMPORTS + source)
    for package in [folder / "app", *(folder / "app").iterdir()]:
        if package.is_dir():
            (package / "__init__.py").touch()
    (folder / "run_seed.py").write_text(RUNNER)
