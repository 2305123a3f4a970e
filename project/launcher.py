"""`make run`: everything that a first start needs, then the server until Ctrl-C.

Development mode is asked for here, explicitly; nothing is changed that the environment (or a
`.env` file) says already. Secrets that are missing are made and kept in `DATA_DIR`.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from io import StringIO
from pathlib import Path
from types import FrameType
from typing import IO
from urllib.error import URLError
from urllib.request import ProxyHandler, Request, build_opener

from environs import FileAwareEnv

BASE_DIR = Path(__file__).resolve().parent.parent
START_SECONDS = 60
STOP_SECONDS = 15
HOUSEKEEPING_SECONDS = 5  # as often as the most urgent job is due


class StartError(Exception):
    """Why the server cannot start, and what to do about it."""


def main() -> int:
    try:
        if sys.argv[1:2] == ["manage"]:
            manage(sys.argv[2:])
        else:
            launch()
    except StartError as error:
        say(f"DataFold cannot start: {error}")
        return 1
    except KeyboardInterrupt:
        say("Stopped.")
    return 0


def manage(arguments: list[str]) -> None:
    """`manage.py` with the environment of `make run`, for a second terminal."""
    prepare_environment()
    from django.core.management import execute_from_command_line

    execute_from_command_line(["manage.py", *arguments])


def launch() -> None:
    """Prepare, start, show, and serve until a signal says otherwise."""
    # SIGINT by name as well: a shell script starts what it puts into the background with SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _as_keyboard_interrupt)
    address = prepare_environment()
    refuse_taken_port(*address)
    prepare_data()
    with Server(*address) as server:
        server.wait_until_live()
        play_tour(server)
        announce(server)
        server.show_log()
        server.serve()


# --- Before Django ----------------------------------------------------------------------------------


def prepare_environment() -> tuple[str, int]:
    """Fill in what a development server needs; returns the address to listen on."""
    env = FileAwareEnv(strip_whitespace=True)
    env.read_env(str(BASE_DIR / ".env"), recurse=False)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    os.environ.setdefault("DATAFOLD_DEVELOPMENT", "true")
    os.environ.setdefault("LOG_FORMAT", "text")
    host, port = os.environ.setdefault("HOST", "127.0.0.1"), os.environ.setdefault("PORT", "8000")
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise StartError(f"PORT={port} is not a port number.")
    if is_loopback(host):
        os.environ.setdefault("ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]")
    elif not os.environ.get("ALLOWED_HOSTS"):
        raise StartError(
            f"HOST={host} is reachable from other machines, so name the hosts it answers for, such as "
            f"ALLOWED_HOSTS=datafold.example.com make run."
        )
    data_dir = BASE_DIR / os.environ.get("DATA_DIR", ".data")
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    keep_secret("SECRET_KEY", data_dir / "secret_key", secrets.token_urlsafe(64))
    keep_secret("DATAFOLD_ENCRYPTION_KEYS", data_dir / "encryption_keys", new_encryption_key())
    return host, int(port)


def keep_secret(variable: str, path: Path, value: str) -> None:
    """Point `variable` at the file that keeps it, made with `value` if there is none yet."""
    if os.environ.get(variable) or os.environ.get(f"{variable}_FILE"):
        return
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(value)
        say(f"Made {variable} and keep it in {shown(path)}.")
    except FileExistsError:
        pass
    os.environ[f"{variable}_FILE"] = str(path)


def new_encryption_key() -> str:
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode()


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def refuse_taken_port(host: str, port: int) -> None:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise StartError(
            f"it cannot listen on {host}:{port} ({error.strerror}). Stop what uses it, or choose another port: "
            f"PORT={port + 1 if port < 65535 else 8000} make run."
        ) from error


# --- With Django --------------------------------------------------------------------------------------


def prepare_data() -> None:
    """Bring the database up to date and make the first operator."""
    import django
    from django.conf import settings
    from django.core.management import call_command
    from django.core.management.base import SystemCheckError
    from django.db import OperationalError, connections

    django.setup()
    from accounts.bootstrap import ensure_operator

    try:
        call_command("check", stdout=StringIO())
        say(
            f"Bringing the database up to date ({settings.DATABASES['default']['ENGINE'].rpartition('.')[2]}) …"
        )
        call_command("migrate", verbosity=0, interactive=False)
    except SystemCheckError as error:
        raise StartError(str(error)) from error
    except OperationalError as error:
        raise StartError(f"the database does not answer: {error}") from error
    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
    if not settings.WHITENOISE_USE_FINDERS:
        say("Collecting the static files …")
        call_command("collectstatic", verbosity=0, interactive=False)
    if operator := ensure_operator():
        say(str(operator))
    connections.close_all()


def play_tour(server: Server) -> None:
    """The tour, once, on an empty database. It never ends the server, whatever becomes of it."""
    from django.db import connections

    from accounts.models import Client
    from project.tour import Tour

    if Client.objects.exists():
        return
    if reason := why_no_tour(server.host):
        say(f"The tour is left out: {reason}.")
    else:
        logging.getLogger("httpx2").setLevel(logging.WARNING)  # the tour tells of each request itself
        try:
            Tour(server.url, say).play()
        except Exception as error:  # noqa: BLE001  it shows the server, which is there all the same
            say(f"The tour ends here: {error}")
    connections.close_all()


def why_no_tour(host: str) -> str:
    """What in the settings keeps the tour from being played on a server that listens on `host`, or ""."""
    from django.conf import settings

    if settings.SECURE_SSL_REDIRECT or settings.DATAFOLD_PUBLIC_ORIGINS or not is_loopback(host):
        return "it plays on a server that answers on this machine over plain http"
    if settings.DATAFOLD_REGISTRATION_POLICY not in ("approval", "open") or not settings.DATAFOLD_ENABLE_AUTH:
        return "it needs registration by approval, or open"
    if settings.DATAFOLD_FOUR_EYES:
        return "under DATAFOLD_FOUR_EYES two operators, each by name, would have to approve its key"
    if missing := {"schemas:read", "schemas:write"} - set(settings.DATAFOLD_DEFAULT_SCOPES):
        return (
            f"its client would need {' and '.join(sorted(missing))}, which DATAFOLD_DEFAULT_SCOPES leaves out"
        )
    return ""


def announce(server: Server) -> None:
    say("")
    say(f"DataFold is ready: {server.url}/")
    for what, path in (("Admin", "/admin/"), ("Docs", "/docs"), ("Health", "/health/")):
        say(f"  {what:<7} {server.url}{path}")
    say("Stop it with Ctrl-C. The log of requests follows.")


class Server:
    """gunicorn and, where no broker is configured, the housekeeping beside it."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        self._local = f"http://{self._local_host(host)}:{port}"
        self._held_back: deque[str] = deque(maxlen=200)
        self._showing = threading.Event()
        self._gunicorn = self._start("-m", "gunicorn", "-c", "gunicorn.conf.py", "project.wsgi:application")
        self._housekeeping = self._start_housekeeping()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the children, politely first; a second Ctrl-C must not leave them behind."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        children = [child for child in (self._gunicorn, self._housekeeping) if child is not None]
        for child in children:
            child.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for child in children:
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def wait_until_live(self) -> None:
        from django.conf import settings

        say("Starting the server …")
        host = next((name.lstrip(".") for name in settings.ALLOWED_HOSTS if name != "*"), "127.0.0.1")
        request = Request(f"{self._local}/health/live", headers={"Host": host})  # noqa: S310  always http
        opener = build_opener(ProxyHandler({}))
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                opener.open(request, timeout=5).close()
            except (URLError, OSError) as error:
                if self._gunicorn.poll() is not None or time.monotonic() > deadline:
                    time.sleep(0.2)  # for the last lines of its log
                    raise StartError(f"the server gave up ({error}).\n" + "".join(self._held_back)) from error
                time.sleep(0.1)
            else:
                return

    def show_log(self) -> None:
        """From now on the children's log goes to the terminal; until now it was held back."""
        self._showing.set()

    def serve(self) -> None:
        """Until the server ends; housekeeping that ends is started again."""
        while self._gunicorn.poll() is None:
            try:
                self._gunicorn.wait(HOUSEKEEPING_SECONDS)
            except subprocess.TimeoutExpired:
                if self._housekeeping is not None and self._housekeeping.poll() is not None:
                    self._housekeeping = self._start_housekeeping()
        raise StartError(f"the server ended by itself, with status {self._gunicorn.returncode}.")

    def _start_housekeeping(self) -> subprocess.Popen[str] | None:
        from django.conf import settings

        if settings.CELERY_BROKER_URL:
            return None
        return self._start("manage.py", "housekeeping", "--every", str(HOUSEKEEPING_SECONDS))

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        # A session of its own: Ctrl-C reaches only this process, which then stops the others in order.
        child = subprocess.Popen(  # noqa: S603  our own interpreter and arguments
            [sys.executable, *arguments],
            cwd=BASE_DIR,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert child.stdout is not None  # noqa: S101  for the type checker
        threading.Thread(target=self._pass_on, args=(child.stdout,), daemon=True).start()
        return child

    def _pass_on(self, lines: IO[str]) -> None:
        for line in lines:
            if self._showing.is_set():
                sys.stderr.write(line)
            else:
                self._held_back.append(line)

    @staticmethod
    def _local_host(host: str) -> str:
        """Where this machine reaches the server: a wildcard address is no destination."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  read, not bound
        return f"[{host}]" if ":" in host else host


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201  this is the terminal's part of the product


def shown(path: Path) -> str:
    """`path` as a person would type it."""
    return str(path.relative_to(BASE_DIR)) if path.is_relative_to(BASE_DIR) else str(path)


def _as_keyboard_interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
