"""How long the admin's pages take with many keys against few.

Two SQLite databases are filled, one with `--few` keys and one with `--keys`, with as many clients, twice
as many audit events and up to 200,000 usage counters of the last day. Then each page is asked for in turns,
with an empty cache and with a warm one; the figures are the fastest of the rounds in milliseconds (a busy
machine only ever adds), and their ratio. Filling 10⁶ keys takes three minutes and 2.5 GB below the temporary
folder.

    python -m benchmarks.console --keys 1000000
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PAGES = {
    "dashboard": "/admin/",
    "queue": "/admin/keys/key/queue/",
    "keys": "/admin/keys/key/",
    "key search": "/admin/keys/key/?q=client-9",
    "clients": "/admin/accounts/client/",
    "audit log": "/admin/accounts/auditevent/",
}
COUNTERS = 200_000
OPERATOR = "bench"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--few", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--folder", type=Path, help="keep the databases here and use them again")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="JSON is what is printed anyway")
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve, arguments.keys)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        few, many = (Console(folder / f"keys-{count}", count) for count in (arguments.few, arguments.keys))
        print(json.dumps(measure(few, many, arguments.rounds), indent=2))
        few.stop()
        many.stop()


class Console:
    """A process of its own over one database, that answers each line (a page, cold or warm) with a time."""

    def __init__(self, folder: Path, keys: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.keys = keys
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.console", "--serve", str(folder), "--keys", str(keys)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment(folder)},
        )
        self.seconds_to_fill = self._answer()

    def time_of(self, path: str, *, cold: bool) -> float:
        """Milliseconds."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"path": path, "cold": cold}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def stop(self) -> None:
        self._process.communicate()

    def _answer(self) -> float:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            sys.exit("A console ended early; its words are above.")
        return float(line)


def measure(few: Console, many: Console, rounds: int) -> dict[str, Any]:
    pages: dict[str, Any] = {}
    for name, path in PAGES.items():
        for cold in (True, False):
            for console in (few, many):
                console.time_of(path, cold=False)
            times = [(few.time_of(path, cold=cold), many.time_of(path, cold=cold)) for _ in range(rounds)]
            least, most = (min(column) for column in zip(*times, strict=True))
            pages.setdefault(name, {})["cold cache" if cold else "warm cache"] = {
                "few_ms": round(least, 1),
                "many_ms": round(most, 1),
                "ratio": round(most / least, 2),
            }
    return {"few": few.keys, "many": many.keys, "rounds": rounds, "database": "SQLite", "pages": pages}


def environment(folder: Path) -> dict[str, str]:
    return {
        "DATA_DIR": str(folder),
        "DATABASE_URL": f"sqlite:///{folder}/console.sqlite3",
        "REDIS_URL": "",
        "DATAFOLD_DEVELOPMENT": "true",
        "SECRET_KEY": "only-for-a-benchmark-only-for-a-benchmark-only-for-a-benchmark",
        "ALLOWED_HOSTS": "localhost",
        "LOG_LEVEL": "ERROR",
        "DJANGO_SETTINGS_MODULE": "project.settings",
    }


def serve(folder: Path, keys: int) -> None:
    """Fill the database if it is new; then answer what is asked on standard input."""
    import django

    django.setup()
    from django.core.cache import cache
    from django.db import connection
    from django.test import Client as Browser
    from django.utils import timezone

    from accounts.models import User
    from benchmarks.site.rows import fill
    from keys.jobs.totals import sum_traffic

    started = time.perf_counter()
    if not (folder / "filled").exists():
        fill(keys=keys, counters=min(keys, COUNTERS), operator=OPERATOR)
        with connection.cursor() as cursor:
            cursor.execute(
                "PRAGMA wal_checkpoint(TRUNCATE)"
            )  # else the first pages are read out of a log of gigabytes
        (folder / "filled").touch()
    gc.collect()
    gc.freeze()  # what filling left behind is no server's: each full collection would walk through it
    sum_traffic(timezone.now())  # as the job does every minute
    browser = Browser(SERVER_NAME="localhost")
    operator = User.objects.get(username=OPERATOR)
    browser.force_login(operator, backend="allauth.account.auth_backends.AuthenticationBackend")
    print(round(time.perf_counter() - started, 1), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["cold"]:
            cache.clear()
        started = time.perf_counter()
        answer = browser.get(asked["path"])
        if answer.status_code != 200:
            sys.exit(f"{asked['path']} answered {answer.status_code}")
        print((time.perf_counter() - started) * 1000, flush=True)


if __name__ == "__main__":
    main()
