"""The engine stands alone: no framework, no settings, no clock, no input or output."""

import ast
import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PACKAGE = PROJECT / "keys" / "httpsig"
FORBIDDEN = {
    "django",
    "rest_framework",
    "time",
    "datetime",
    "random",
    "secrets",
    "os",
    "socket",
    "logging",
    "pathlib",
}


def test_it_imports_without_django_or_settings() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    script = (
        "import sys, keys.httpsig\n"
        "assert not [name for name in sys.modules if name.split('.')[0] in ('django', 'rest_framework')]"
    )
    subprocess.run([sys.executable, "-c", script], cwd=PROJECT, env=environment, check=True)


def test_no_module_imports_a_clock_a_framework_or_the_outside_world() -> None:
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            imported = {name.split(".")[0] for name in names}
            assert not imported & FORBIDDEN, f"{path.name} imports {imported & FORBIDDEN}"


def test_the_public_names_are_there() -> None:
    import keys.httpsig

    assert keys.httpsig.__all__ == sorted(set(keys.httpsig.__all__), key=keys.httpsig.__all__.index)
    assert all(hasattr(keys.httpsig, name) for name in keys.httpsig.__all__)
