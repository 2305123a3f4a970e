"""What an answer says about a rate limit: the RateLimit fields of draft-ietf-httpapi-ratelimit-headers (08 to 11).

RateLimit-Policy: "client";q=6000;w=60
RateLimit: "client";r=5999;t=42
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from django.http.response import HttpResponseBase

_PERIODS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}


class Quota(NamedTuple):
    """One limit as the caller stands to it.

    Args:
        policy: its name.
        limit: requests allowed in each window of `window` seconds.
        remaining: requests left in this window; below 0 counts as 0.
        reset: seconds until the window ends.
    """

    policy: str
    limit: int
    window: int
    remaining: int
    reset: int


def add_ratelimit_fields(response: HttpResponseBase, quota: Quota) -> None:
    response.headers["RateLimit-Policy"] = f'"{quota.policy}";q={quota.limit};w={quota.window}'
    response.headers["RateLimit"] = f'"{quota.policy}";r={max(0, quota.remaining)};t={quota.reset}'


@lru_cache(maxsize=32)
def parse_rate(rate: str) -> tuple[int, int]:
    """ "60/minute" → (60 requests, 60 seconds).

    Raises:
        ValueError: it is no rate.
    """
    count, slash, period = rate.partition("/")
    if not slash or period.strip() not in _PERIODS or not count.strip().isdigit():
        raise ValueError(f"{rate!r} is not a rate such as 60/minute (second, minute, hour, day).")
    return int(count), _PERIODS[period.strip()]
