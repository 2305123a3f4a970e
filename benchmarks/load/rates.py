"""Offered rates against one, two and four processes: latencies, the saturation point, and what gives out there."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from benchmarks.load.mix import SHARES, Presigner
from benchmarks.load.openloop import OpenLoop, Outcome, poisson
from benchmarks.load.stack import Stack, Usage, say, stack
from tests.support.services import Services

STEPS = (0.3, 0.5, 0.7, 0.8, 0.9, 1.0)  # of the guess
ON, MOST_STEPS = 1.15, 12  # and on from there, while it is sustained
GUESS_SECONDS = 8.0
SUSTAINED_P99_MS = 500.0
BUSY = 0.9


@dataclass
class Stage:
    """One offered rate: what came of it, and the cores that each part used."""

    outcome: Outcome
    cores: dict[str, float]

    @property
    def sustained(self) -> bool:
        """Everything was answered as planned, and 99 of 100 within `SUSTAINED_P99_MS`."""
        latencies = self.outcome.percentiles()
        return (
            not self.outcome.lost
            and not self.outcome.unexpected
            and bool(latencies)
            and latencies["p99"] <= SUSTAINED_P99_MS
        )


@dataclass
class Series:
    """All rates at one number of processes."""

    processes: int
    threads: int
    stages: list[Stage] = field(default_factory=list)

    @property
    def saturation(self) -> float:
        """The highest rate that was sustained, as answers a second; 0 where none was."""
        return max((stage.outcome.rate for stage in self.stages if stage.sustained), default=0.0)

    def bottleneck(self) -> str:
        """What was used up at the highest rate that was offered."""
        cores, machine = self.stages[-1].cores, os.cpu_count() or 1
        if cores["load generator"] >= BUSY:
            return "the load generator, which has one core: the server may be able to do more"
        per_process = cores["web"] / self.processes
        if per_process >= BUSY:
            return f"the web processes: each used {per_process:.2f} of the one core that it can use"
        if sum(cores.values()) >= BUSY * machine:
            most = ", ".join(
                f"{name} {used:.2f}" for name, used in sorted(cores.items(), key=lambda each: -each[1])
            )
            return f"the machine's {machine} cores: {most}"
        return (
            f"no processor of ours: together they used {sum(cores.values()):.2f} of {machine} cores "
            f"(the machine did other things: load average {os.getloadavg()[0]:.1f})"
        )


def measure(parts: Services, *, seconds: float, processes: list[int], threads: int) -> list[Series]:
    """Every number of processes with a server and a database of its own."""
    found = []
    for count in processes:
        with stack(f"rates{count}", parts, WORKERS=str(count), THREADS=str(threads)) as site:
            found.append(one_series(site, Series(count, threads), seconds))
        say(f"{count} processes: saturated at {found[-1].saturation:.0f}/s by {found[-1].bottleneck()}")
    return found


def one_series(site: Stack, series: Series, seconds: float) -> Series:
    presigner = Presigner(site.site)
    try:
        guess = capacity(site, presigner)
        say(f"{series.processes} processes: at most about {guess:.0f}/s; {seconds:.0f} s for each rate")
        step = STEPS[0]
        for number in range(MOST_STEPS):
            step = STEPS[number] if number < len(STEPS) else step * ON
            stage = one_stage(site, presigner, guess * step, seconds, seed=number)
            series.stages.append(stage)
            latencies = stage.outcome.percentiles()
            say(
                f"  offered {stage.outcome.offered:6.0f}/s  answered {stage.outcome.rate:6.0f}/s  "
                f"p50 {latencies.get('p50', 0):7.1f} ms  p99 {latencies.get('p99', 0):7.1f} ms  "
                f"lost {stage.outcome.lost}  unexpected {dict(stage.outcome.unexpected)}"
            )
            if stage.outcome.lost or (number >= len(STEPS) - 1 and not stage.sustained):
                break
    finally:
        presigner.close()
    return series


def capacity(site: Stack, presigner: Presigner) -> float:
    """Answers a second with all connections busy: a first guess at where the end is."""
    planned = presigner.sign(int(GUESS_SECONDS * 2500))
    return OpenLoop(site.address, connections=32).flat_out(planned, GUESS_SECONDS).rate


def one_stage(
    site: Stack,
    presigner: Presigner,
    rate: float,
    seconds: float,
    *,
    seed: int,
    shares: dict[str, float] = SHARES,
) -> Stage:
    times = poisson(rate, seconds, seed)
    planned = presigner.sign(len(times), shares)
    usage = Usage(site)
    outcome = OpenLoop(site.address).run(planned, times, rate)
    return Stage(outcome, usage.cores())


def section(found: list[Series], seconds: float) -> str:
    lines = [
        "## Rates",
        "",
        f"Each rate for {seconds:.0f} s, arrivals of independent callers (exponential gaps), "
        + ", ".join(f"{share:.0%} {kind}s" for kind, share in SHARES.items())
        + f"; {found[0].threads} threads in each process. Latency counts from the moment at which the request "
        f"was due. Sustained: everything answered as it should be, p99 at most {SUSTAINED_P99_MS:.0f} ms.",
        "",
        "| processes | offered /s | answered /s | p50 | p90 | p99 | p99.9 | max | sustained "
        "| cores: web | PostgreSQL | Redis | load generator |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for series in found:
        lines += [_row(series.processes, stage) for stage in series.stages]
    lines += ["", "| processes | saturated at | what gives out |", "|---|---|---|"]
    lines += [
        f"| {series.processes} | {series.saturation:.0f} /s | {series.bottleneck()} |" for series in found
    ]
    lines += ["", "By kind of request, at about 70 % of what the guess was, in ms:", "", *_kinds(found)]
    return "\n".join(lines)


def _row(processes: int, stage: Stage) -> str:
    latencies: dict[str, Any] = stage.outcome.percentiles()
    shown = " | ".join(
        f"{latencies[name]:.1f}" if latencies else "—" for name in ("p50", "p90", "p99", "p99.9", "max")
    )
    verdict = "yes" if stage.sustained else "no"
    if stage.outcome.lost:
        verdict += f", {stage.outcome.lost} given up"
    used = " | ".join(f"{stage.cores[name]:.2f}" for name in ("web", "PostgreSQL", "Redis", "load generator"))
    return f"| {processes} | {stage.outcome.offered:.0f} | {stage.outcome.rate:.0f} | {shown} | {verdict} | {used} |"


def _kinds(found: list[Series]) -> list[str]:
    lines = ["| processes | kind | requests | p50 | p99 | max |", "|---|---|---|---|---|---|"]
    for series in found:
        stage = series.stages[min(2, len(series.stages) - 1)]
        for kind in sorted(stage.outcome.latencies):
            each = stage.outcome.percentiles(kind)
            lines.append(
                f"| {series.processes} | {kind} | {len(stage.outcome.latencies[kind])} | {each['p50']:.1f} "
                f"| {each['p99']:.1f} | {each['max']:.1f} |"
            )
    return lines
