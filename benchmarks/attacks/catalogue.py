"""The attacks by name."""

from __future__ import annotations

import resource
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from nacl.signing import SigningKey

from benchmarks.attacks.swarm import Plan, Swarm
from benchmarks.attacks.volley import Volley
from benchmarks.load.mix import SCHEMAS, Signing, Site
from benchmarks.load.stack import Stack, expect

GIBIBYTE = 1 << 30
SPARE_FILES = 200
BUNDLE = "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"
VOLLEY = 3000
GREEDY_LIMIT = 60
GREEDY_PER_MINUTE = 30_000


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
    site: Site
    kind: str
    per_minute: int

    def __call__(self, address: tuple[str, int]) -> Volley:
        signing = Signing(self.site)  # now, or they would be too old by the time they are sent
        requests = [getattr(signing, self.kind)().data for _ in range(VOLLEY)]
        return Volley(requests, self.per_minute / 60, address)


def attacks(site: Site, greedy: Site, *, connections: int, wrong_per_minute: int) -> dict[str, Attack]:
    """
    Args:
        greedy: as `greedy_client` makes it.
    """
    host = f"Host: {site.authority}\r\n"
    get = f"GET {SCHEMAS} HTTP/1.1\r\n{host}".encode()
    upload = f"POST {SCHEMAS}/{site.schemas[0]}/versions/1/validate-file HTTP/1.1\r\n{host}"
    length = f"Content-Type: text/csv\r\nContent-Length: {GIBIBYTE}\r\n\r\n"
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
            _Volleying(site, "wrong", wrong_per_minute),
        ),
        "over-limit": Attack(
            f"a client that may send {GREEDY_LIMIT} requests a minute and sends {GREEDY_PER_MINUTE:,}",
            _Volleying(greedy, "read", GREEDY_PER_MINUTE),
        ),
    }


def greedy_client(stack: Stack) -> Site:
    """The server as a new client knows it, which may send GREEDY_LIMIT requests a minute."""
    seed = secrets.token_bytes(32)
    site = Site(stack.site.authority, {"greedy": seed}, stack.site.schemas)
    expect(stack.server, [Signing(site).registration_of("greedy", SigningKey(seed))])
    change = f"Client.objects.filter(client_id='greedy').update(rate_limit={GREEDY_LIMIT})"
    stack.server.manage("shell", "-v0", "-c", f"from accounts.models import Client; {change}")
    return site


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
