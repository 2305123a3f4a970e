"""DataFold as it runs in earnest: gunicorn on a port, with a database of its own."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import psutil

from tests.support.python import run_python, start_python
from tests.support.services import free_port
from tests.support.stack import PROJECT, server_variables, stack_environment


class DataFoldServer:
    """A running server on this process's stack.

    Attributes:
        base_url: "http://127.0.0.1:PORT".
        environment: the variables it runs with.
        log: the file with its log lines.
        arbiter: gunicorn's process whose children are the workers.
    """

    def __init__(self, name: str, *, source: Path = PROJECT, **variables: str) -> None:
        """Start it; `variables` override the environment.

        Args:
            source: the folder of the server's sources.
        """
        self._source = source
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        inherited = {name: value for name, value in os.environ.items() if name not in server_variables()}
        self.environment = {
            **inherited,
            **stack_environment(name, migrated="DATABASE_URL" not in variables),
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "WORKERS": "2",
            "DATAFOLD_REGISTRATION_RATE": "100000/minute",  # all tests come from one address
            **variables,
        }
        self.log = Path(self.environment["DATA_DIR"]) / "server.log"
        if "DATABASE_URL" in variables:
            self.manage("migrate", "--verbosity=0")
        started = start_python(
            ["-m", "gunicorn", "-c", "gunicorn.conf.py", "project.wsgi:application"],
            environment=self.environment,
            output=self.log,
            folder=source,
        )
        self.arbiter = psutil.Process(started.pid)
        self._wait_until_it_answers()

    def errors(self) -> str:
        """What its log says at the level error, newest last."""
        lines = self.log.read_text().splitlines()
        return "\n".join(line.replace("\\n", "\n") for line in lines if '"level": "error"' in line)

    def manage(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `manage.py …` against this server's database; fails the test if the command fails."""
        result = run_python(["manage.py", *arguments], environment=self.environment, folder=self._source)
        if check:
            assert result.returncode == 0, f"manage.py {' '.join(arguments)}:\n{result.stdout}{result.stderr}"
        return result

    def terminate(self) -> None:
        """Ask it to end, without waiting."""
        with suppress(psutil.NoSuchProcess):
            self.arbiter.terminate()

    def stop(self) -> None:
        self.terminate()
        try:
            self.arbiter.wait(timeout=15)
        except psutil.TimeoutExpired:
            self.arbiter.kill()

    def _wait_until_it_answers(self, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        opener = build_opener(ProxyHandler({}))
        while True:
            try:
                opener.open(f"{self.base_url}/health/live", timeout=5).close()
            except OSError:
                if not self.arbiter.is_running() or time.monotonic() > deadline:
                    self.stop()
                    raise RuntimeError(f"The server did not start:\n{self.log.read_text()[-4000:]}") from None
                time.sleep(0.05)
            else:
                return
