"""Python processes that start at once: forked from one that has imported the libraries already.

Importing them is most of the time that a command or a server takes to start, and the tests start some two
hundred. Nothing of the project is imported before the fork: as at any start, the environment decides.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
from functools import cache
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.stack import PROJECT


def start_python(
    arguments: list[str],
    *,
    environment: dict[str, str],
    output: Path,
    errors: Path | None = None,
    typed: Path = Path(os.devnull),
    folder: Path = PROJECT,
) -> BaseProcess:
    """Start `python ARGUMENTS` in a folder: a script, "-m" and a module, or "-c" and code, and its arguments.

    Args:
        environment: all of its variables.
        output: the file that takes what it prints.
        errors: the file that takes what it logs; by default the same.
        typed: the file that it reads as standard input.
    """
    run = (arguments, environment, output, errors or output, typed, folder)
    process = _context().Process(target=_run, args=run, daemon=True)
    process.start()
    return process


def run_python(
    arguments: list[str],
    *,
    environment: dict[str, str],
    stdin: str = "",
    folder: Path = PROJECT,
    seconds: float = 120,
) -> subprocess.CompletedProcess[str]:
    """Start it, type `stdin`, and wait for its end.

    Raises:
        subprocess.TimeoutExpired: it took longer than `seconds`.
    """
    with TemporaryDirectory() as printed:
        output, errors, typed = Path(printed, "output"), Path(printed, "errors"), Path(printed, "typed")
        typed.write_text(stdin)
        process = start_python(
            arguments, environment=environment, output=output, errors=errors, typed=typed, folder=folder
        )
        process.join(seconds)
        if process.is_alive():
            process.kill()
            raise subprocess.TimeoutExpired(arguments, seconds)
        status = process.exitcode or 0
        return subprocess.CompletedProcess(arguments, status, output.read_text(), errors.read_text())


@cache
def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.libraries"])
    return context


def _run(
    arguments: list[str], environment: dict[str, str], output: Path, errors: Path, typed: Path, folder: Path
) -> None:
    sys.stdin = typed.open()
    for path, stream in (output, sys.stdout), (errors, sys.stderr):
        with path.open("ab") as file:
            os.dup2(file.fileno(), stream.fileno())
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    try:
        if arguments[0] == "-m":
            sys.argv = arguments[1:]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        elif arguments[0] == "-c":
            sys.argv = ["-c", *arguments[2:]]
            exec(arguments[1], {"__name__": "__main__"})
        else:
            sys.argv = arguments
            runpy.run_path(arguments[0], run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # a forked process ends without them
