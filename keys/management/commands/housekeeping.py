"""`manage.py housekeeping`: the background work, for where no Celery worker runs."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import close_old_connections

from keys import jobs
from keys.management.base import DataFoldCommand


class Command(DataFoldCommand):
    help = "Run every background job once, or again and again with --every."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--every",
            type=float,
            metavar="SECONDS",
            help="Look again after so long until Ctrl-C; each job runs when its own time has come.",
        )
        parser.add_argument(
            "--job", action="append", dest="names", choices=list(jobs.JOBS), help="Only these."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        names = options["names"] or list(jobs.JOBS)
        if options["every"] is None:
            results, failed = self._round(names)
            self._report(results, as_json=options["as_json"])
            if failed:
                raise CommandError(f"Failed: {', '.join(failed)}. The log says why; the other jobs ran.")
            return
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        due = dict.fromkeys(names, 0.0)
        while not stop.is_set():
            close_old_connections()
            started = time.monotonic()
            ready = [name for name in names if due[name] <= started]
            results, failed = self._round(ready)
            if did := {name: counts for name, counts in results.items() if any(counts.values())}:
                self._report(did, as_json=options["as_json"])
            due.update(
                {
                    name: started + jobs.JOBS[name].every.total_seconds()
                    for name in ready
                    if name not in failed
                }
            )
            stop.wait(options["every"])

    def _round(self, names: list[str]) -> tuple[dict[str, dict[str, Any]], list[str]]:
        """One run of each job: what each counted, and which failed, which keeps no other from running."""
        results: dict[str, dict[str, Any]] = {}
        failed: list[str] = []
        for name in names:
            try:
                results[name] = dict(jobs.run(name))
            except Exception as error:  # noqa: BLE001  whatever it is, the other jobs are still due
                failed.append(name)
                results[name] = {"error": f"{type(error).__name__}: {error}"}
                self.stderr.write(f"{name}: {results[name]['error']}")
        return results, failed

    def _report(self, results: dict[str, dict[str, Any]], *, as_json: bool) -> None:
        if as_json:
            self.print_json(results)
            return
        for name, counts in results.items():
            if "error" not in counts:
                did = ", ".join(f"{what} {count}" for what, count in counts.items() if count)
                self.stdout.write(f"{name}: {did or 'nothing due'}")
