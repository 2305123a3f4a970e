"""How the application server runs: `gunicorn -c gunicorn.conf.py project.wsgi:application`.

Every variable is explained in `.env.example`.
"""

from __future__ import annotations

import atexit
import gc
import os
import resource
import shutil
import tempfile
from pathlib import Path
from typing import Any

from environs import FileAwareEnv

BASE_DIR = Path(__file__).resolve().parent

env = FileAwareEnv(strip_whitespace=True)
env.read_env(str(BASE_DIR / ".env"), recurse=False)


def _bind(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


bind = _bind(env.str("HOST", "127.0.0.1"), env.int("PORT", 8000))
chdir = str(BASE_DIR)
proc_name = "datafold"

worker_class = "project.server.worker.Worker"  # reads and writes without taking a thread
workers = env.int("WORKERS", min(os.cpu_count() or 1, 4))
threads = env.int("THREADS", 4)
timeout = env.int("WORKER_TIMEOUT", 30)
graceful_timeout = env.int("GRACEFUL_TIMEOUT", 10)
keepalive = env.int("KEEPALIVE", 5)
# As many files as the system lets us have open: one for each connection.
_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
_files = 65_536 if _hard == resource.RLIM_INFINITY else min(_hard, 65_536)
resource.setrlimit(resource.RLIMIT_NOFILE, (max(_soft, _files), _hard))
worker_connections = min(env.int("WORKER_CONNECTIONS", 4000), max(_soft, _files) - 100)
max_requests = env.int("MAX_REQUESTS", 0)
max_requests_jitter = max_requests // 10

# A request is judged by what stood on the wire, so nothing may be mapped, folded or guessed.
# Which proxies are believed is decided in one place, `project/proxies.py`; here none is.
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""
header_map = "drop"  # a field with "_" never reaches the application as its namesake with "-"
limit_request_line = 8190
limit_request_fields = 100
limit_request_field_size = 8190

sendfile = False  # it would block a thread on a slow reader

accesslog = None  # the application logs each request once itself
errorlog = "-"
loglevel = env.str("GUNICORN_LOG_LEVEL", "warning")
control_socket_disable = True
# Heartbeat files belong into memory; a read-only container has no other place for them either.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108


# Loaded once and then forked: a faster start, shared memory, and one place for the system checks.
preload_app = True


def _remove_counters(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # workers end through here, too
        shutil.rmtree(folder, ignore_errors=True)


if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
    # Before the application is imported: prometheus_client decides then how it counts.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="datafold-metrics-")
    atexit.register(_remove_counters, os.environ["PROMETHEUS_MULTIPROC_DIR"], os.getpid())


def on_starting(server: Any) -> None:
    """Refuse to serve on settings that the system checks refuse."""
    from django.core.management import call_command
    from django.core.management.base import SystemCheckError

    try:
        with Path(os.devnull).open("w") as silence:
            call_command("check", stdout=silence)
    except SystemCheckError as error:
        raise SystemExit(str(error)) from error


def when_ready(server: Any) -> None:
    """What was loaded lives as long as the process: workers share it, and do not take it apart when they end."""
    gc.collect()
    gc.freeze()


def child_exit(server: Any, worker: Any) -> None:
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)
