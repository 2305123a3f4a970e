"""The report: for the terminal while it runs, and as Markdown in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from benchmarks.chaos.judge import Effect, own_requests
from benchmarks.chaos.records import Record
from benchmarks.chaos.verdict import Bound, Verdict

Say = Callable[[str], None]

INTRODUCTION = """# Broken parts

Written by `make chaos`. It starts DataFold as it runs in earnest, all on one machine: two web servers (gunicorn, two
workers each) behind nginx with TLS, PostgreSQL, Redis, two Celery workers and beat, and a receiver of webhooks. Clients
sign requests without a pause (reads, new schemas and versions, files to validate, registrations; half of the clients
with the strict profile, half with the standard one) and keep every request and answer. Meanwhile one thing after the
other breaks. Clients send accepted requests again all the time, and many at once around each fault; at each fault some
come for the first time, revoke their own key and try to go on. What is due each minute runs every five seconds here, so
that each fault meets jobs at work.

At the end the clients' records are held against the database and against what the receiver got. The command fails if
one of the bounds below does not hold.

It takes about nine minutes and needs nginx; to cut the network it needs root and `ip` (iproute2), and says so where it
cannot. `make chaos QUICK=1` breaks a few parts in two minutes and leaves this report alone.
"""

READING = """
*Failed*: the clients' own requests from the break to the end of watching that were not done, by code; `HTTP 502` and
the like are nginx's own answers, names without a number mean that no answer came. *Back*: seconds after the part was
mended until the last request failed. *Gap*: the longest time in which nobody was served, break included; each client
waits for its answer before it goes on, so a server that hangs holds those that wait for it. *Jobs*: seconds after the
mending until the next background job ran.

After Redis lost its memory (a restart counts as that, with its data or without) signatures from before are refused for
the clock skew of the profile: 5 s for strict, 30 s for standard. A server whose clock is wrong refuses what its clock
does not allow, and the others serve. Uses of keys that were still in Redis when it lost its memory are not counted.
"""

FALLBACK = """
With `DATAFOLD_REPLAY_FALLBACK=database` all servers leave Redis together once one of them has missed it for three
seconds, and come back when it has answered again and the database has counted for a minute
(`DATAFOLD_REPLAY_FALLBACK_SECONDS`). Each of the two switches refuses what was signed before it, as a restart of Redis
does. So the fallback pays where Redis is away for minutes, not for seconds.
"""


def line(effect: Effect) -> str:
    """A fault, for the terminal."""
    jobs = "never" if effect.jobs is None else f"{effect.jobs:.1f} s"
    return (
        f"  {sum(effect.failed.values())} of {effect.requests} failed"
        f"{f' ({_codes(effect.failed)})' if effect.failed else ''}; back: {_back(effect)}; "
        f"longest gap {effect.gap:.1f} s; jobs after {jobs}"
    )


def summary(verdict: Verdict) -> str:
    """The verdict, for the terminal."""
    lines = [_totals(verdict.records), ""]
    for bound in verdict.bounds:
        lines.append(f"  {'ok    ' if bound.holds else 'BROKEN'} {_bound(bound)}")
        lines += [f"           {violation}" for violation in bound.violations[:5]]
    lines += [f"  {said}" for said, _ in verdict.commands]
    if verdict.restarts:
        lines.append(f"  ended by themselves and were started again: {_restarts(verdict)}")
    lines += [f"  skipped: {name}: {why}" for name, why in verdict.skipped]
    return "\n".join(lines)


def markdown(verdict: Verdict, *, fallback_from: float, took: float) -> str:
    """The whole report.

    Args:
        fallback_from: when the servers were switched to the fallback; Unix seconds.
        took: seconds that the run took.
    """
    plain = [each for each in verdict.effects if each.window.begun < fallback_from]
    fallback = [each for each in verdict.effects if each.window.begun >= fallback_from]
    parts = [
        INTRODUCTION,
        f"## The last run\n\n{_totals(verdict.records)} In {took / 60:.0f} minutes. "
        f"**{'Every bound holds.' if verdict.holds else 'A bound is broken.'}**\n",
        *(f"**Not tried here: {name}. {why}**\n" for name, why in verdict.skipped),
        _bounds_table(verdict.bounds),
        "\n".join(f"- `{said}`" for said, _ in verdict.commands) + "\n",
        "## Fault by fault\n",
        _faults_table(plain),
        READING.lstrip("\n"),
    ]
    if fallback:
        parts += ["## With the database as a fallback\n", _faults_table(fallback), FALLBACK.lstrip("\n")]
    if verdict.restarts:
        parts.append(
            f"Parts that ended by themselves and were started again, as `compose.yaml` and Kubernetes do it: "
            f"{_restarts(verdict)}. (Celery's worker ends when Redis has no memory left for it.)\n"
        )
    parts += ["## Answers by code\n", _codes_table(verdict.records)]
    return "\n".join(parts)


def _totals(records: list[Record]) -> str:
    own = list(own_requests(records))
    accepted = sum(each.accepted for each in own)
    replays = sum(each.is_replay for each in records)
    return (
        f"{len(records):,} requests: {len(own):,} of the clients' own, of which {accepted:,} were done; "
        f"{replays:,} sent again; {len(records) - len(own) - replays:,} after a revocation."
    )


def _restarts(verdict: Verdict) -> str:
    return ", ".join(f"{name} {count}×" for name, count in verdict.restarts.items())


def _bound(bound: Bound) -> str:
    return f"{bound.name}: {len(bound.violations)}{f' ({bound.note})' if bound.note else ''}"


def _bounds_table(bounds: list[Bound]) -> str:
    rows = [f"| {bound.name} | {len(bound.violations)} | {bound.note} |" for bound in bounds]
    return "\n".join(["| must be 0 | was | |", "|---|---|---|", *rows, ""])


def _faults_table(effects: list[Effect]) -> str:
    rows = [
        f"| {each.window.name} | {each.window.lifted - each.window.begun:.0f} s | {each.requests} "
        f"| {_codes(each.failed) or 'none'} | {_back(each)} | {each.gap:.1f} s "
        f"| {'never' if each.jobs is None else f'{each.jobs:.1f} s'} |"
        for each in effects
    ]
    head = ["| fault | for | requests | failed | back | gap | jobs |", "|---|---|---|---|---|---|---|"]
    return "\n".join([*head, *rows, ""])


def _codes_table(records: list[Record]) -> str:
    own = Counter(_code(each) for each in own_requests(records))
    replayed = Counter(_code(each) for each in records if each.is_replay)
    codes = sorted({*own, *replayed}, key=lambda code: -(own[code] + replayed[code]))
    rows = [f"| {code} | {own[code]:,} | {replayed[code]:,} |" for code in codes]
    return "\n".join(["| answer | own requests | sent again |", "|---|---|---|", *rows, ""])


def _code(record: Record) -> str:
    return f"`{record.code}`" if record.code else f"done ({record.status})"


def _codes(codes: Counter[str]) -> str:
    return ", ".join(f"{count} × {code}" for code, count in codes.most_common())


def _back(effect: Effect) -> str:
    if effect.never_back:
        return (
            f"not within {effect.window.ended - effect.window.lifted:.0f} s: {', '.join(effect.never_back)}"
        )
    late = {profile: seconds for profile, seconds in effect.back.items() if seconds > 0}
    return ", ".join(f"{profile} {seconds:.1f} s" for profile, seconds in late.items()) or "at once"
