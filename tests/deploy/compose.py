"""Reading `compose.yaml` as Compose does: variables filled in from defaults, merge keys resolved."""

from __future__ import annotations

import re
from typing import Any

import yaml

from tests.support.stack import PROJECT

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def read_compose(variables: dict[str, str] | None = None) -> dict[str, Any]:
    """The document with `${NAME:-default}` filled in."""
    values = variables or {}
    text = (PROJECT / "compose.yaml").read_text()
    found: dict[str, Any] = yaml.safe_load(
        _VARIABLE.sub(lambda name: values.get(name[1], name[2] or ""), text)
    )
    return found
