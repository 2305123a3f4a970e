"""The core stands without Django."""

import subprocess
import sys

PROGRAM = """
import sys
import schemas.compatibility
import schemas.formats
import schemas.formats.convert
import schemas.formats.validator
assert schemas.compatibility.check("fields", [], [], "FULL").compatible
print(sorted(name for name in sys.modules if name.split(".")[0] in ("django", "rest_framework")))
"""


def test_the_core_runs_without_django_and_without_settings() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
