"""Many minutes at seventy per cent of saturation: no error, and memory that stays where it is."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import psutil

from benchmarks.load.mix import Planned, Presigner
from benchmarks.load.openloop import OpenLoop, Outcome, poisson
from benchmarks.load.stack import Stack, Usage, say, stack
from tests.support.services import Services

SHARE_OF_SATURATION = 0.7
SAMPLE_SECONDS = 5.0
SIGNED_AHEAD_SECONDS = 20.0
# The rule of what is flat: the median of the last fifth over that of the middle fifth.
FLAT_RATIO, FLAT_MEGABYTES = 1.03, 8.0


@dataclass
class Soak:
    outcome: Outcome
    cores: dict[str, float]
    processes: int
    samples: list[tuple[float, dict[str, float]]] = field(default_factory=list)

    def fifth(self, number: int, part: str) -> float:
        """Median megabytes of `part` in one fifth of the time, 0 to 4."""
        count = len(self.samples)
        inside = self.samples[number * count // 5 : (number + 1) * count // 5] or self.samples[-1:]
        return statistics.median(used[part] for _, used in inside)

    def parts(self) -> list[str]:
        """Those that were there all the time."""
        return [part for part in self.samples[0][1] if all(part in used for _, used in self.samples)]

    def grew(self, part: str) -> float:
        return self.fifth(4, part) - self.fifth(2, part)

    def flat(self, part: str) -> bool:
        before = self.fifth(2, part)
        return self.grew(part) <= max(before * (FLAT_RATIO - 1), FLAT_MEGABYTES)


class _Sampler(threading.Thread):
    """Memory of each process, while the load runs in the main thread."""

    def __init__(self, site: Stack) -> None:
        super().__init__(daemon=True)
        self._site = site
        self._over = threading.Event()
        self.samples: list[tuple[float, dict[str, float]]] = []

    def run(self) -> None:
        begun = time.monotonic()
        while not self._over.wait(SAMPLE_SECONDS):
            used = _memory(self._site)
            self.samples.append((time.monotonic() - begun, used))
            if len(self.samples) % 12 == 0:
                say(
                    f"  {time.monotonic() - begun:4.0f} s: "
                    + ", ".join(f"{n} {m:.0f} MB" for n, m in used.items())
                )

    def end(self) -> None:
        self._over.set()
        self.join()


def _memory(site: Stack) -> dict[str, float]:
    """Megabytes of each process of the server, of PostgreSQL's together, and of Redis."""
    found = site.processes()
    master, *workers = found["web"]
    named = {"web, master": [master]}
    named |= {f"web, worker {number}": [worker] for number, worker in enumerate(workers, 1)}
    named |= {name: found[name] for name in ("PostgreSQL", "Redis")}
    return {name: megabytes(each) for name, each in named.items()}


def megabytes(processes: list[psutil.Process]) -> float:
    """Memory in proportion: a page that several processes share counts in parts."""
    total = 0
    for process in processes:
        try:
            total += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
        except psutil.AccessDenied:
            total += process.memory_info().rss
    return total / 1e6


def measure(parts: Services, *, saturation: float, seconds: float, processes: int, threads: int) -> Soak:
    rate = saturation * SHARE_OF_SATURATION
    say(f"soak: {rate:.0f}/s for {seconds:.0f} s with {processes} processes")
    with stack("soak", parts, WORKERS=str(processes), THREADS=str(threads)) as site:
        presigner, sampler, usage = Presigner(site.site, processes=1), _Sampler(site), Usage(site)
        sampler.start()
        try:
            times = poisson(rate, seconds, 7)
            planned = _signed_ahead(presigner, len(times), rate)
            outcome = OpenLoop(site.address).run(planned, times, rate)
        finally:
            sampler.end()
            presigner.close()
        return Soak(outcome, usage.cores(), processes, sampler.samples)


def _signed_ahead(presigner: Presigner, count: int, rate: float) -> Iterator[Planned]:
    """Requests in portions, each signed while the one before it is sent: a signature is fresh for minutes only."""
    portion = int(rate * SIGNED_AHEAD_SECONDS) + 1
    upcoming = presigner.start(min(portion, count))
    while upcoming:
        count -= min(portion, count)
        current, upcoming = upcoming, presigner.start(min(portion, count)) if count else []
        yield from presigner.collect(current)


def section(soak: Soak) -> str:
    latencies = soak.outcome.percentiles()
    unexpected = f" {dict(soak.outcome.unexpected)}" if soak.outcome.unexpected else ""
    lines = [
        "## Soak",
        "",
        f"{soak.outcome.seconds / 60:.1f} minutes at {soak.outcome.offered:.0f} requests a second "
        f"({SHARE_OF_SATURATION:.0%} of the saturation of {soak.processes} processes): "
        f"{soak.outcome.answered} answers, "
        f"{sum(soak.outcome.unexpected.values())} errors{unexpected}, "
        f"{soak.outcome.lost} given up. "
        + ", ".join(f"{name} {value:.1f} ms" for name, value in latencies.items())
        + ".",
        "",
        f"Memory of each process, every {SAMPLE_SECONDS:.0f} s, medians by fifths of the time; pages that processes "
        "share count in parts (PSS). Flat: the last fifth is above "
        f"the middle one by at most {FLAT_RATIO - 1:.0%} or {FLAT_MEGABYTES:.0f} MB, whichever is more. "
        "PostgreSQL's grows until its shared buffers are full, Redis' until the first nonces are forgotten.",
        "",
        "| part | 1st fifth | 2nd | 3rd | 4th | 5th | grew since the 3rd | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for part in soak.parts():
        fifths = " | ".join(f"{soak.fifth(number, part):.0f} MB" for number in range(5))
        lines.append(
            f"| {part} | {fifths} | {soak.grew(part):+.1f} MB | {'flat' if soak.flat(part) else 'not flat'} |"
        )
    return "\n".join(lines)
