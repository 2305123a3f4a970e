"""docs/attacks.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.attacks.measure import HONEST, Trial
from benchmarks.attacks.swarm import SOURCE
from benchmarks.load.openloop import Outcome
from benchmarks.load.report import machine, wrapped

ROOT = Path(__file__).resolve().parents[2]
PATH, TRIED = ROOT / "docs" / "attacks.md", ROOT / ".data" / "attacks.md"


def write(trials: list[Trial], path: Path, *, rate: float) -> None:
    lines = [
        "# Attacks",
        "",
        "Written by `make attacks` (`python -m benchmarks.attacks --help`); do not edit it. gunicorn as it is shipped "
        "(two processes, the limits of `.env.example`), no proxy before it, PostgreSQL and Redis. Honest clients send "
        f"{rate:.0f} requests a second ("
        + ", ".join(f"{share:.0%} {kind}s" for kind, share in HONEST.items())
        + ", signed) at times that are fixed beforehand; latency counts from those. The attacker has one address, "
        f"{SOURCE}, and shares the machine's processors with everything else, so a part of what honest clients notice "
        "is its own appetite. The command fails if one honest request is not answered as it should be.",
        "",
        "| attack | honest: before p50 / p99 / max | during p50 / p99 / max | requests | failed | web memory |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {trial.title} | {_shown(trial.before)} | {_shown(trial.during)} | {trial.during.answered} "
        f"| {trial.failed} | {trial.memory[0]:.0f} → {trial.memory[1]:.0f} MB |"
        for trial in trials
    ]
    lines += ["", "What the attacker got:", "", "| attack | sent | answers |", "|---|---|---|"]
    lines += [f"| {trial.title} | {_sent(trial.facts)} | {_seen(trial.facts)} |" for trial in trials]
    path.parent.mkdir(exist_ok=True)
    path.write_text(wrapped("\n".join([*lines, "", machine(), ""])))


def _shown(outcome: Outcome) -> str:
    each = outcome.percentiles()
    return " / ".join(f"{each[name]:.0f}" for name in ("p50", "p99", "max")) + " ms" if each else "—"


def _sent(facts: dict[str, Any]) -> str:
    if "per_minute" in facts:
        return f"{facts['per_minute']:,} a minute ({facts['behind']:,} more waited for answers and were not sent)"
    return f"{facts['bytes'] / 1e6:,.1f} MB on up to {facts['open']:,} connections"


def _seen(facts: dict[str, Any]) -> str:
    seen = sorted(facts["seen"].items(), key=lambda each: -each[1])
    return ", ".join(f"{what}: {count:,}" for what, count in seen) or "none"
