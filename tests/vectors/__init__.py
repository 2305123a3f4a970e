"""Test vectors: read in place, judged by runners that map a file to a :class:`Result`."""

import importlib
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.vectors.result import Result


def default_folder() -> Path:
    """``$DATAFOLD_VECTORS``, else the folder beside the project."""
    beside = Path(__file__).resolve().parents[2] / ".." / "shared" / "vectors"
    return Path(os.environ.get("DATAFOLD_VECTORS") or beside)


def runners() -> dict[str, Callable[[Any], Result]]:
    """The runner for each file, by its path in the folder."""
    found: dict[str, Callable[[Any], Result]] = {}
    for module in ("engine", "compat"):
        if find_spec(f"tests.vectors.{module}") is not None:
            found.update(importlib.import_module(f"tests.vectors.{module}").RUNNERS)
    return found
