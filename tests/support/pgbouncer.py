"""A real PgBouncer in transaction mode before the test run's PostgreSQL."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from tests.support.services import free_port, running_services, unprivileged

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
WHY_SKIPPED = "no pgbouncer on the PATH: install the distribution's package"

CONFIGURATION = """
[databases]
* = host={postgres} user=postgres

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 200
logfile = {folder}/pgbouncer.log
pidfile = {folder}/pgbouncer.pid
"""


class PgBouncer:
    """Runs until `stop`.

    Args:
        folder: for its files; pool_size: connections to the server for each database.
    """

    def __init__(self, run: Path, folder: Path, *, pool_size: int) -> None:
        self.port = free_port()
        self._log = folder / "pgbouncer.log"
        configuration = folder / "pgbouncer.ini"
        configuration.write_text(
            CONFIGURATION.format(
                postgres=running_services(run).postgres_socket,
                port=self.port,
                pool_size=pool_size,
                folder=folder,
            )
        )
        identity = unprivileged()  # it refuses to run as root, as PostgreSQL does
        if identity:
            os.chown(folder, identity["user"], identity["group"])
        assert PGBOUNCER is not None
        self._process = subprocess.Popen(
            [PGBOUNCER, "--quiet", configuration], stderr=subprocess.DEVNULL, **identity
        )
        self._wait()

    def url(self, database: str) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}"

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=10)

    def _wait(self, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=2).close()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(self._log.read_text() if self._log.exists() else "no log") from None
                time.sleep(0.02)
            else:
                return
