"""Which stack this process tests on, and the environment that makes Django run on it.

`DATAFOLD_TEST_STACK` names it: "sqlite" (the default) or "postgres" (PostgreSQL and Redis).
`make test` starts one worker for each.
"""

from __future__ import annotations

import ast
import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from enum import StrEnum
from pathlib import Path

from tests.support.services import create_database, locked, stop_services, take_redis_database

PROJECT = Path(__file__).resolve().parents[2]
# The first decides when it is imported, by an environment variable, how it counts; the others are ours.
_NO_LIBRARIES = {"prometheus_client", "project", "accounts", "keys", "schemas"}


class Stack(StrEnum):
    SQLITE = "sqlite"
    POSTGRES = "postgres"


def current_stack() -> Stack:
    return Stack(os.environ.get("DATAFOLD_TEST_STACK", Stack.SQLITE))


def run_folder() -> Path:
    """The temporary folder of this test run, shared by its workers."""
    if "DATAFOLD_TEST_RUN" not in os.environ:
        folder = tempfile.mkdtemp(prefix="datafold-test-")
        Path(folder).chmod(0o711)  # PostgreSQL runs as another user where the tests run as root.
        os.environ["DATAFOLD_TEST_RUN"] = folder
        atexit.register(stop_services, Path(folder))  # in the process that made it, not in its workers
    return Path(os.environ["DATAFOLD_TEST_RUN"])


def new_folder(prefix: str) -> Path:
    return Path(tempfile.mkdtemp(prefix=prefix, dir=run_folder()))


def server_variables() -> set[str]:
    """Every variable that `project/settings.py` and `gunicorn.conf.py` read, `_FILE` forms included."""
    names = read_variables(PROJECT / "project/settings.py") | read_variables(PROJECT / "gunicorn.conf.py")
    return names | {f"{name}_FILE" for name in names}


def read_variables(path: Path) -> set[str]:
    """The names that a module reads by `env.<type>("NAME", …)`."""
    return {
        node.args[0].value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "env"
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
        and node.args[0].value.isupper()
    }


def stack_environment(name: str, *, migrated: bool = False) -> dict[str, str]:
    """The variables of a server of its own on this process's stack, with a database of its own.

    Args:
        name: names the folder and the database.
        migrated: the database has been migrated; else it is empty.
    """
    folder = new_folder(f"{name}-")
    (folder / "static").mkdir()
    environment = {
        "SECRET_KEY": "only-for-tests-" * 5,
        "DATAFOLD_ENCRYPTION_KEYS": "b25seS1mb3ItdGVzdHMtb25seS1mb3ItdGVzdHMtMTI=",
        "DATAFOLD_DEVELOPMENT": "true",
        "ALLOWED_HOSTS": "127.0.0.1,localhost,testserver",
        "DATA_DIR": str(folder),
        "LOG_FORMAT": "json",
        # All tests come from one address; those about limits set them themselves.
        "DATAFOLD_ANONYMOUS_RATE": "100000/minute",
        "DATAFOLD_FAILURE_RATE": "100000/minute",
    }
    if current_stack() is Stack.POSTGRES:
        environment["DATABASE_URL"] = create_database(
            run_folder(),
            f"{name}_{folder.name[-8:]}",
            template=migrated_template() if migrated else "template1",
        )
        environment["REDIS_URL"] = take_redis_database(run_folder())
    else:
        # Spelled out, or a developer's .env file would fill them in.
        environment["DATABASE_URL"] = f"sqlite:///{folder / 'datafold.sqlite3'}"
        environment["REDIS_URL"] = ""
        if migrated:
            shutil.copy(migrated_template(), folder / "datafold.sqlite3")
    return environment


def migrated_template() -> str:
    """The database that others start as a copy of, its name or file: a copy is made in no time.

    The first process of the test run that asks makes it.
    """
    with locked(run_folder() / f"template-{current_stack()}.lock"):
        record = run_folder() / f"template-{current_stack()}"
        if not record.exists():
            environment = stack_environment("template")
            subprocess.run(
                [sys.executable, "manage.py", "migrate", "--verbosity=0"],
                cwd=PROJECT,
                env={**os.environ, **environment},
                check=True,
            )
            name = environment["DATABASE_URL"].rpartition("/")[2]
            file = f"{environment['DATA_DIR']}/datafold.sqlite3"
            record.write_text(name if current_stack() is Stack.POSTGRES else file)
        return record.read_text()


def enter_stack() -> None:
    """Make this process's Django run on the stack, whatever the caller's environment says."""
    import django

    for name in server_variables():
        os.environ.pop(name, None)
    # Servers and commands would compile all modules again at each start.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.update(
        stack_environment("unit"), DJANGO_SETTINGS_MODULE="project.settings", LOG_LEVEL="WARNING"
    )
    before = set(sys.modules)
    django.setup()
    # The SDK's command is started often, too; in this process it is imported later, if at all.
    name_libraries(
        [*(name for name in sys.modules if name not in before), "httpx2", "http_message_signatures"]
    )
    # Workers inherit the environment, and pytest-django would load the settings before they come here.
    del os.environ["DJANGO_SETTINGS_MODULE"]


def name_libraries(modules: list[str]) -> None:
    """Tell `tests.support.libraries` what to import."""
    names = [name for name in modules if name.partition(".")[0] not in _NO_LIBRARIES]
    os.environ["DATAFOLD_TEST_LIBRARIES"] = json.dumps(names)
