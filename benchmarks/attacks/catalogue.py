"""The attacks by name."""

from __future__ import annotations

import resource
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.attacks.swarm import Plan, Swarm
from benchmarks.attacks.volley import Volley
from benchmarks.load.mix import SCHEMAS, Signing, Site

GIBIBYTE = 1 << 30
SPARE_FILES = 200
BUNDLE = "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"
WRONG_REQUESTS = 3000


@dataclass(frozen=True)
class Attack:
    """
    Attributes:
        title: for the report.
        start: makes what runs it, in the attacker's process, from the server's address.
    """

    title: str
    start: Callable[[tuple[str, int]], Swarm | Volley]


@dataclass(frozen=True)
class _Swarming:
    plan: Plan

    def __call__(self, address: tuple[str, int]) -> Swarm:
        return Swarm(self.plan, address)


@dataclass(frozen=True)
class _Volleying:
    requests: list[bytes]
    rate: float

    def __call__(self, address: tuple[str, int]) -> Volley:
        return Volley(self.requests, self.rate, address)


def attacks(site: Site, *, connections: int, wrong_per_minute: int) -> dict[str, Attack]:
    host = f"Host: {site.authority}\r\n"
    get = f"GET {SCHEMAS} HTTP/1.1\r\n{host}".encode()
    upload = f"POST {SCHEMAS}/{site.schemas[0]}/versions/1/validate-file HTTP/1.1\r\n{host}"
    length = f"Content-Type: text/csv\r\nContent-Length: {GIBIBYTE}\r\n\r\n"
    signing = Signing(site)
    return {
        "slow-headers": Attack(
            "1,000 requests whose header fields never end, a field each second",
            _Swarming(Plan(1000, opening=get, drip=b"X-Slow: 1\r\n")),
        ),
        "slow-bodies": Attack(
            "1,000 bodies, a byte each second",
            _Swarming(
                Plan(
                    1000,
                    opening=f"POST {SCHEMAS} HTTP/1.1\r\n{host}Content-Length: 500000\r\n\r\n".encode(),
                    drip=b" ",
                )
            ),
        ),
        "slow-readers": Attack(
            "200 clients that ask for 8 large files each and read none",
            _Swarming(
                Plan(
                    200,
                    opening=f"GET {BUNDLE} HTTP/1.1\r\n{host}\r\n".encode() * 8,
                    reads=False,
                    buffer=4096,
                )
            ),
        ),
        "idle": Attack(
            f"{connections:,} connections without a word, opened again when they are closed",
            _Swarming(Plan(connections)),
        ),
        "large-bodies": Attack(
            "16 bodies of 1 GiB at a time, to a call that takes 1 MiB",
            _Swarming(_flood(f"POST {SCHEMAS} HTTP/1.1\r\n{host}{length}")),
        ),
        "large-uploads": Attack(
            "16 unsigned bodies of 1 GiB at a time, to the call that takes files",
            _Swarming(_flood(upload + length)),
        ),
        "header-flood": Attack(
            "64 connections that send header fields of 8,000 bytes as fast as they can",
            _Swarming(Plan(64, opening=get, flood=b"X-Flood: " + b"a" * 8000 + b"\r\n")),
        ),
        "wrong-signatures": Attack(
            f"{wrong_per_minute:,} wrong signatures a minute from one address",
            _Volleying([signing.wrong().data for _ in range(WRONG_REQUESTS)], wrong_per_minute / 60),
        ),
    }


def _flood(head: str) -> Plan:
    return Plan(16, opening=head.encode(), flood=b"x" * 65536, flood_bytes=GIBIBYTE)


def allow_files(wanted: int) -> None:
    """Let this process have `wanted` connections; ends the command where the system does not allow it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted += SPARE_FILES
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise SystemExit(
            f"{wanted:,} open files are needed and {hard:,} are allowed (ulimit -Hn): raise that, or ask for "
            f"fewer --connections."
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
