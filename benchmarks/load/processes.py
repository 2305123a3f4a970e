"""gunicorn's settings, measured: processes and threads, keep-alive, how connections spread, stops and restarts."""

from __future__ import annotations

import signal
import socket
import statistics
import threading
import time
from dataclasses import dataclass
from typing import Any

import psutil

from benchmarks.load.mix import Presigner
from benchmarks.load.openloop import OpenLoop, Outcome, poisson
from benchmarks.load.rates import capacity, one_stage
from benchmarks.load.stack import Stack, say, services, stack
from tests.support.services import Services

SHAPES = ((1, 1), (1, 4), (2, 1), (2, 2), (2, 4), (2, 8), (4, 2), (4, 4))
AT = 0.6
GTHREAD = {"GUNICORN_CMD_ARGS": "--worker-class gthread"}
ASK = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@dataclass
class Shape:
    processes: int
    threads: int
    capacity: float
    percentiles: dict[str, float]


def shapes(parts: Services, seconds: float) -> list[Shape]:
    """Each shape flat out, then all of them at the same rate: `AT` of the median capacity."""
    found = []
    for processes, threads in SHAPES:
        with stack(
            f"shape{processes}x{threads}", parts, WORKERS=str(processes), THREADS=str(threads)
        ) as site:
            presigner = Presigner(site.site)
            most = capacity(site, presigner)
            stage = one_stage(site, presigner, AT * most, seconds, seed=3)
            presigner.close()
        found.append(Shape(processes, threads, most, stage.outcome.percentiles()))
        say(f"{processes} x {threads}: {most:.0f}/s, {found[-1].percentiles}")
    return found


def keep_alive(parts: Services, seconds: float) -> dict[str, Outcome]:
    """The same reads on connections that are kept, and on a new one for each."""
    with stack("keepalive", parts, WORKERS="2") as site:
        presigner = Presigner(site.site)
        rate = AT * capacity(site, presigner)
        found = {}
        for name, fresh in (("kept", False), ("new for each request", True)):
            times = poisson(rate, seconds, 5)
            planned = presigner.sign(len(times), {"read": 1.0})
            found[name] = OpenLoop(site.address, fresh=fresh).run(planned, times, rate)
        presigner.close()
    return found


# --- How connections spread -------------------------------------------------------------------------------------


def spread(parts: Services, *, rounds: int = 5, connections: int = 30) -> dict[str, list[list[int]]]:
    """Of `connections` that are opened one after the other and kept, how many each of three workers has."""
    found: dict[str, list[list[int]]] = {}
    for name, variables in (("DataFold's worker", {}), ("gthread", GTHREAD)):
        with stack(f"spread_{len(found)}", parts, WORKERS="3", **variables) as site:
            found[name] = [_one_spread(site, connections) for _ in range(rounds)]
        say(f"{name}: {found[name]}")
    return found


def _one_spread(site: Stack, count: int) -> list[int]:
    sockets = [socket.create_connection(site.address, timeout=10) for _ in range(count)]
    for sock in sockets:
        sock.sendall(ASK)
        sock.recv(65536)
    held = sorted(
        (_established(worker, site.server.port) for worker in _workers(site)),
        reverse=True,
    )
    for sock in sockets:
        sock.close()
    time.sleep(0.5)  # until the workers have noticed
    return held


def _workers(site: Stack) -> list[psutil.Process]:
    return site.server.arbiter.children()


def _established(worker: psutil.Process, port: int) -> int:
    return sum(
        each.status == psutil.CONN_ESTABLISHED and each.laddr.port == port
        for each in worker.net_connections("tcp")
    )


# --- Stops and restarts under load ---------------------------------------------------------------------------------


@dataclass
class Restart:
    """What callers saw while the server was told `what`; `reset` and `late` count as dropped."""

    what: str
    answered: int
    unexpected: dict[str, int]
    refused: int
    seconds: float

    @property
    def dropped(self) -> int:
        return sum(self.unexpected.values())


def restarts(parts: Services, *, times: int = 3) -> list[Restart]:
    """Workers replaced (HUP), the server stopped (TERM)."""
    found = []
    for number in range(times):
        with stack(f"restart{number}", parts, WORKERS="2") as site:
            found.append(_under_load(site, "restart of the workers (HUP)", _hang_up))
        with stack(f"stop{number}", parts, WORKERS="2") as site:
            found.append(_under_load(site, "stop (TERM)", _terminate))
    return found


def _under_load(site: Stack, what: str, act: Any) -> Restart:
    presigner = Presigner(site.site)
    rate = min(100.0, 0.4 * capacity(site, presigner))
    schedule = poisson(rate, 8.0, 11)
    planned = presigner.sign(len(schedule), {"read": 0.8, "write": 0.2})
    presigner.close()
    took: list[float] = []

    def act_and_clock() -> None:
        time.sleep(2.0)
        begun = time.perf_counter()
        act(site)
        took.append(time.perf_counter() - begun)

    thread = threading.Thread(target=act_and_clock)
    thread.start()
    outcome = OpenLoop(site.address, connections=32).run(planned, schedule, rate)
    thread.join()
    refused = {
        name: count for name, count in outcome.unexpected.items() if name.startswith("ConnectionRefused")
    }
    others = {name: count for name, count in outcome.unexpected.items() if name not in refused}
    if outcome.lost:
        others["given up"] = outcome.lost
    restart = Restart(what, outcome.answered, others, sum(refused.values()), took[0])
    say(f"{what}: {restart.answered} answered, {restart.dropped} dropped {others}, {took[0]:.1f} s")
    return restart


def _hang_up(site: Stack) -> None:
    before = {worker.pid for worker in _workers(site)}
    site.server.arbiter.send_signal(signal.SIGHUP)
    _until(lambda: not before & {worker.pid for worker in _workers(site)})


def _terminate(site: Stack) -> None:
    site.server.terminate()
    site.server.arbiter.wait(30)


def _until(what: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            raise SystemExit("The server did not do as it was told.")
        time.sleep(0.05)


# --- Report --------------------------------------------------------------------------------------------------------


def measure(parts: Services, seconds: float) -> str:
    return section(shapes(parts, seconds), keep_alive(parts, seconds), spread(parts), restarts(parts))


def section(
    found: list[Shape], kept: dict[str, Outcome], spreads: dict[str, list[list[int]]], stops: list[Restart]
) -> str:
    best = max(shape.capacity for shape in found)
    lines = [
        "## gunicorn's settings",
        "",
        f"Processes times threads, the mixed load: flat out on 32 connections, and p50 and p99 at {AT:.0%} of that.",
        "",
        "| processes × threads | answers /s | of the best | p50 | p99 |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {shape.processes} × {shape.threads} | {shape.capacity:.0f} | {shape.capacity / best:.0%} "
        f"| {shape.percentiles['p50']:.1f} ms | {shape.percentiles['p99']:.1f} ms |"
        for shape in found
    ]
    lines += [
        "",
        "Signed reads at the same rate, connections kept or not:",
        "",
        "| connection | p50 | p99 |",
        "|---|---|---|",
    ]
    for name, outcome in kept.items():
        each = outcome.percentiles()
        lines.append(f"| {name} | {each['p50']:.1f} ms | {each['p99']:.1f} ms |")
    lines += [
        "",
        "Thirty kept-alive connections to three workers, how many each has, in five rounds:",
        "",
        "| worker | rounds | the fullest has, median |",
        "|---|---|---|",
    ]
    for name, rounds in spreads.items():
        shown = ", ".join("/".join(str(count) for count in each) for each in rounds)
        lines.append(f"| {name} | {shown} | {statistics.median(max(each) for each in rounds):.0f} of 30 |")
    lines += [
        "",
        "Signed reads and writes at a steady rate while the server is told to restart or stop. Dropped: a connection "
        "that was reset, closed without an answer, or an answer other than the planned one. Not connected: refused by "
        "the system, because nobody listened any more; such a request was never sent and may go elsewhere.",
        "",
        "| | answered | dropped | not connected | it took |",
        "|---|---|---|---|---|",
    ]
    for what in dict.fromkeys(stop.what for stop in stops):
        same = [stop for stop in stops if stop.what == what]
        lines.append(
            f"| {what}, {len(same)} times | {sum(stop.answered for stop in same)} | {dropped(same)} "
            f"| {sum(stop.refused for stop in same)} | {statistics.median(stop.seconds for stop in same):.1f} s |"
        )
    return "\n".join(lines)


def dropped(stops: list[Restart]) -> int:
    return sum(stop.dropped for stop in stops)


__all__ = ["measure", "services"]
