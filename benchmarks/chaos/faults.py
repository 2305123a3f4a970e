"""What is broken, and how it is mended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.chaos.installation import Installation
from benchmarks.chaos.part import Part

HOLD = 6.0
CLOCK_BACK = -45.0
"""More than the skew of the standard profile: a server that is this slow calls right clients early."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    Args:
        name: as the report calls it.
        inflict, lift: break and mend.
        hold: seconds in between.
        within: seconds after the lift by which no request may fail any more.
        settled: what must have come about, besides that everybody is served, before the next fault.
        unfelt: no request may fail, neither while it is broken nor afterwards.
        quick: part of a quick run.
        needs_namespace: it can only be done to a server in a network namespace.
        instead_of_namespace: it stands for one that is, where there is none.
    """

    name: str
    inflict: Callable[[Installation], None]
    lift: Callable[[Installation], None]
    hold: float = HOLD
    within: float = 60.0
    settled: Callable[[Installation], bool] = lambda site: True
    unfelt: bool = False
    quick: bool = False
    needs_namespace: bool = False
    instead_of_namespace: bool = False


def _kill(
    name: str,
    parts: Callable[[Installation], Sequence[Part]],
    *,
    hold: float = 3.0,
    unfelt: bool = False,
    quick: bool = False,
) -> Fault:
    def kill(site: Installation) -> None:
        for part in parts(site):
            part.kill()

    def restart(site: Installation) -> None:
        for part in parts(site):
            part.start(wait=False)

    return Fault(name, kill, restart, hold=hold, unfelt=unfelt, quick=quick)


def _pause(name: str, part: Callable[[Installation], Part], *, unfelt: bool = False) -> Fault:
    return Fault(name, lambda site: part(site).pause(), lambda site: part(site).resume(), unfelt=unfelt)


def _kill_redis(site: Installation) -> None:
    site.redis.kill()


def _restart_redis_empty(site: Installation) -> None:
    site.empty_redis()
    site.redis.start(wait=False)


def _fill_redis(site: Installation) -> None:
    """Over its limit, so that not even a nonce fits any more, whatever is freed meanwhile."""
    with site.redis_client() as client:
        for number in range(20):
            client.set(f"ballast:{number}", b"x" * 1_000_000)
        client.config_set("maxmemory", client.info("memory")["used_memory"] - 5_000_000)


def _relieve_redis(site: Installation) -> None:
    with site.redis_client() as client:
        client.config_set("maxmemory", "512mb")
        client.delete(*client.scan_iter(match="ballast:*", count=1000))


def _slow_clock_and_empty_redis(site: Installation) -> None:
    """The worst moment for a wrong clock: memory begins anew, and a slow server may be the first to ask."""
    site.set_second_clock(CLOCK_BACK)
    site.redis.kill()
    _restart_redis_empty(site)


def _cut(site: Installation) -> None:
    assert site.namespace is not None
    site.namespace.cut()


def _cut_redis(site: Installation) -> None:
    assert site.namespace is not None
    site.namespace.cut_redis()


def _mend(site: Installation) -> None:
    assert site.namespace is not None
    site.namespace.mend()


FAULTS = [
    _kill("web server killed", lambda site: site.webs[:1], quick=True),
    _kill("PostgreSQL killed", lambda site: [site.postgres], quick=True),
    Fault("Redis killed, restarted empty", _kill_redis, _restart_redis_empty, hold=2.0, quick=True),
    Fault(
        "Redis killed, restarted with its data",
        _kill_redis,
        lambda site: site.redis.start(wait=False),
        hold=2.0,
    ),
    _kill("worker killed", lambda site: site.workers[:1], unfelt=True, quick=True),
    _kill("both workers killed", lambda site: site.workers, unfelt=True),
    _kill("beat killed", lambda site: [site.beat], unfelt=True),
    _kill("nginx killed", lambda site: [site.nginx], hold=2.0),
    _pause("web server paused", lambda site: site.webs[0]),
    _pause("PostgreSQL paused", lambda site: site.postgres),
    _pause("Redis paused", lambda site: site.redis),
    _pause("worker paused", lambda site: site.workers[1], unfelt=True),
    Fault("Redis' memory full", _fill_redis, _relieve_redis, quick=True),
    Fault(
        "clock of a web server set back by 45 s",
        lambda site: site.set_second_clock(CLOCK_BACK),
        lambda site: site.set_second_clock(0),
    ),
    Fault(
        "clock set back by 45 s, and Redis restarted empty",
        _slow_clock_and_empty_redis,
        lambda site: site.set_second_clock(0),
    ),
    Fault("network to a web server cut", _cut, _mend, hold=8.0, needs_namespace=True),
    Fault("network from a web server to Redis cut", _cut_redis, _mend, hold=8.0, needs_namespace=True),
]
"""With DATAFOLD_REPLAY_FALLBACK=refuse."""

FALLBACK_FAULTS = [
    Fault(
        "web servers restarted in good order, one after the other",
        lambda site: site.use_fallback(),
        lambda site: None,
        hold=0.0,
        unfelt=True,
    ),
    Fault(
        "network from a web server to Redis cut",
        _cut_redis,
        _mend,
        hold=10.0,
        settled=lambda site: site.replay_store() == "database",
        needs_namespace=True,
    ),
    Fault(
        "Redis gone",
        _kill_redis,
        _restart_redis_empty,
        hold=10.0,
        settled=lambda site: site.replay_store() == "database",
        instead_of_namespace=True,
    ),
    Fault(
        "Redis killed and emptied while the database counts",
        _kill_redis,
        _restart_redis_empty,
        hold=2.0,
        # The database counts for a minute at least; the return refuses what was signed before it.
        within=150.0,
        settled=lambda site: site.replay_store() == "redis",
    ),
]
"""With DATAFOLD_REPLAY_FALLBACK=database, one after the other: out of Redis, and back."""
