"""From the clients' own records: what was served, what was refused, and whether a replay got in. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.chaos.records import Record


@dataclass(frozen=True, slots=True)
class Window:
    """A fault in time: Unix seconds of its begin, of its lift, and of the end of watching.

    `jobs_back`: when the first background job began after the lift that also ran through.
    `unfelt`: no request may fail in it.
    """

    name: str
    begun: float
    lifted: float
    ended: float
    within: float
    jobs_back: float | None = None
    unfelt: bool = False


@dataclass(frozen=True, slots=True)
class Effect:
    """What clients saw of a fault.

    Args:
        requests: sent from its begin to the end of watching; `failed` of them, by code.
        back: by profile: seconds after the lift until the last answer that was a failure.
        never_back: clients of which nothing was done after the lift and after their last failure.
        gap: the longest time without an accepted answer, in seconds.
        jobs: seconds after the lift until background jobs ran again; None: they did not.
    """

    window: Window
    requests: int
    failed: Counter[str]
    back: dict[str, float]
    never_back: list[str]
    gap: float
    jobs: float | None

    @property
    def seconds_until_back(self) -> float:
        return max(self.back.values(), default=0.0)


def effect_of(window: Window, records: Sequence[Record], clients: Iterable[str]) -> Effect:
    """Of the clients' own requests; of these everybody's, also theirs who come for the first time.

    Args:
        clients: the names of all that should be served; one that is silent is not.
    """
    inside = [
        each for each in own_requests(records) if each.answered >= window.begun and each.sent <= window.ended
    ]
    failed = [each for each in inside if not each.accepted]
    return Effect(
        window=window,
        requests=len(inside),
        failed=Counter(each.code for each in failed),
        back={
            profile: max(
                (each.answered - window.lifted for each in failed if each.profile == profile), default=0.0
            )
            for profile in sorted({each.profile for each in inside})
        },
        never_back=_never_back(window, inside, clients),
        gap=_longest_gap(window, inside),
        jobs=None if window.jobs_back is None else window.jobs_back - window.lifted,
    )


def _never_back(window: Window, inside: Sequence[Record], clients: Iterable[str]) -> list[str]:
    last_failed: dict[str, float] = {}
    last_done: dict[str, float] = {}
    for each in inside:
        last = last_done if each.accepted else last_failed
        last[each.client] = max(each.answered, last.get(each.client, 0.0))
    return [
        client
        for client in clients
        if last_done.get(client, 0.0) <= max(window.lifted, last_failed.get(client, 0.0))
    ]


def own_requests(records: Iterable[Record]) -> Iterable[Record]:
    """All that should be served: neither replays nor what comes after a revocation."""
    return (
        each
        for each in records
        if not each.is_replay and not each.forbidden and not (each.leaves and each.code == "KEY_REVOKED")
    )


def _longest_gap(window: Window, inside: Sequence[Record]) -> float:
    moments = sorted(each.answered for each in inside if each.accepted)
    edges = [window.begun, *moments, window.ended]
    return max(later - earlier for earlier, later in pairwise(edges))


def accepted_replays(records: Iterable[Record]) -> list[str]:
    """Signatures that were let in more than once, whoever sent them again."""
    passed: dict[tuple[str, str], list[Record]] = {}
    for each in records:
        if each.nonce and each.passed:
            passed.setdefault((each.client, each.nonce), []).append(each)
    return [
        f"{client}, nonce {nonce}: let in at {', '.join(f'{each.sent:.3f}' for each in several)} "
        f"({several[0].request['method']} {several[0].request['url']})"
        for (client, nonce), several in passed.items()
        if len(several) > 1
    ]


def revoked_let_in(records: Iterable[Record]) -> list[str]:
    """Requests that were let in although their key's revocation had been acknowledged."""
    return [
        f"{each.client} at {each.sent:.3f}, request {each.request_id}"
        for each in records
        if each.forbidden and each.passed
    ]


def internal_errors(records: Iterable[Record]) -> list[str]:
    """Answers that say that the server failed, and not what is to be done."""
    return [
        f"{each.request['method']} {each.request['url']} at {each.sent:.3f}, request {each.request_id}"
        for each in records
        if each.code == "INTERNAL_ERROR" or each.code == "HTTP 500"
    ]


def too_slow(effects: Iterable[Effect]) -> list[str]:
    """Faults after which requests failed, or jobs stood still, for longer than is allowed."""
    found = []
    for each in effects:
        within = each.window.within
        if each.seconds_until_back > within:
            found.append(f"{each.window.name}: requests failed for {each.seconds_until_back:.1f} s")
        if each.never_back:
            found.append(f"{each.window.name}: not served again: {', '.join(each.never_back)}")
        if each.jobs is None or each.jobs > within:
            when = "never" if each.jobs is None else f"after {each.jobs:.1f} s"
            found.append(f"{each.window.name}: jobs ran {when}")
    return found


def felt(effects: Iterable[Effect]) -> list[str]:
    """Faults in which requests failed though none may."""
    return [
        f"{each.window.name}: {each.failed.total()} failed"
        for each in effects
        if each.window.unfelt and each.failed
    ]


def never_asked(records: Iterable[Record], kinds: Iterable[str]) -> list[str]:
    """Kinds of requests of which none was done: a run without them says nothing about them."""
    done = {each.kind for each in records if each.accepted}
    asked = {each.kind for each in records}
    return [kind for kind in kinds if kind not in (asked if kind == "replay" else done)]
