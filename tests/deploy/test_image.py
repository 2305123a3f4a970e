"""The image: what goes into it is enough to run, and what it runs as can do little."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.stack import PROJECT, new_folder, server_variables

DOCKERFILE = (PROJECT / "Dockerfile").read_text()


LOADED = "import project.wsgi, project.celery, keys.tasks, project.healthcheck, project.provision"


@pytest.fixture(scope="module")
def context() -> Path:
    """What `.dockerignore` lets into the image, at a place of its own."""
    folder = new_folder("image-")
    wanted = [
        line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    ]
    for name in wanted:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(
                source, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".mypy_cache")
            )
        else:
            shutil.copy(source, folder / name)
    shutil.rmtree(folder / "sdk")
    return folder


def build_environment(context: Path) -> dict[str, str]:
    """The variables of the RUN line that collects static files, with its folders moved to `context`."""
    line = re.search(r"(SECRET_KEY=.*?)\\\n\s+python manage.py collectstatic", DOCKERFILE, re.S)
    assert line is not None
    pairs = dict(part.split("=", 1) for part in line[1].split())
    moved = {
        name: value.replace("/app", str(context)).replace("/tmp/build", str(context / "build"))
        for name, value in pairs.items()
    }
    inherited = {name: value for name, value in os.environ.items() if name not in server_variables()}
    return {**inherited, **moved}


@pytest.mark.one_stack
def test_static_files_are_collected_from_what_is_in_it(context: Path) -> None:
    result = subprocess.run(
        [sys.executable, "manage.py", "collectstatic", "--no-input", "--verbosity", "0"],
        cwd=context,
        env=build_environment(context),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    root = Path(build_environment(context)["STATIC_ROOT"])
    assert (root / "staticfiles.json").exists()
    assert list((root / "datafold").glob("admin.*.css.gz"))


@pytest.mark.one_stack
def test_the_server_loads_from_what_is_in_it(context: Path) -> None:
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            LOADED,
        ],
        cwd=context,
        env=build_environment(context),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr


def test_no_secret_and_nothing_of_the_tests_goes_in(context: Path) -> None:
    names = {path.name for path in context.iterdir()}
    assert not names & {".env", ".git", ".data", "tests", "benchmarks", "requirements-dev.txt"}


def test_it_runs_as_nobody_special() -> None:
    final = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER datafold$", final, re.M)
    assert "--uid 10001" in final
    assert "HEALTHCHECK" in final
    assert "project.healthcheck" in final
    assert re.search(
        r'^CMD \["gunicorn", "--config", "gunicorn.conf.py", "project.wsgi:application"\]$', final, re.M
    )
    assert not re.search(r"^ENV .*(SECRET|PASSWORD)", DOCKERFILE, re.M)
