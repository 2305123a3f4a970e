"""One part of the installation: a process with all that it forks, to be killed, paused and started again."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

START_SECONDS = 90.0


class Part:
    """Not started yet.

    Args:
        name: as the report calls it.
        command, environment: what runs; `options` are passed on to subprocess.
        log: where its output goes, appended to over restarts.
        answers: whether it is up.
        stop_signal: what makes it end in good order.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        environment: dict[str, str],
        log: Path,
        answers: Callable[[], bool],
        stop_signal: signal.Signals = signal.SIGTERM,
        **options: Any,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.environment = environment
        self.log = log
        self._answers = answers
        self._stop_signal = stop_signal
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._is_meant_to_run = False
        self._lock = threading.Lock()

    def start(self, *, wait: bool = True) -> None:
        """Raises RuntimeError if it ends, or does not answer in time."""
        with self._lock, self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._options,
            )
            self._is_meant_to_run = True
        if wait:
            self.wait()

    def wait(self) -> None:
        """Until it answers."""
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if not self.runs() or time.monotonic() > deadline:
                tail = self.log.read_text(errors="replace")[-3000:]
                raise RuntimeError(f"{self.name} did not start:\n{tail}")
            time.sleep(0.05)

    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def ended_by_itself(self) -> bool:
        with self._lock:
            return self._is_meant_to_run and not self.runs()

    def kill(self) -> None:
        """SIGKILL to all of it, the parent first, so that nothing is forked anew."""
        with self._lock:
            self._is_meant_to_run = False
        processes = self.processes()
        for process in processes:
            _signal(process, signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
        psutil.wait_procs(processes, timeout=10)

    def pause(self) -> None:
        for process in self.processes():
            _signal(process, signal.SIGSTOP)

    def resume(self) -> None:
        for process in self.processes():
            _signal(process, signal.SIGCONT)

    def stop(self, *, seconds: float = 20) -> None:
        """In good order; by force after `seconds`."""
        with self._lock:
            self._is_meant_to_run = False
        if self._process is None or not self.runs():
            return
        self.resume()
        self._process.send_signal(self._stop_signal)
        try:
            self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def processes(self) -> list[psutil.Process]:
        """The parent and everything below it."""
        if self._process is None or not self.runs():
            return []
        try:
            parent = psutil.Process(self._process.pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
