"""Imports what Django imported in the tests' own process, as far as that needs no settings."""

import contextlib
import importlib
import json
import os
import sys

os.environ.pop("DJANGO_SETTINGS_MODULE", None)
for _name in json.loads(os.environ.get("DATAFOLD_TEST_LIBRARIES", "[]")):
    with contextlib.suppress(Exception):
        importlib.import_module(_name)

_early = sys.modules.keys() & {"project", "accounts", "keys", "schemas"}
assert not _early, f"{_early} would keep the environment of the first start"
