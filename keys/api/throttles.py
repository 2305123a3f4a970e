"""Limits per address for calls that anybody may make. Counted where all processes see it."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import DatabaseError
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from keys.errors import ReplayCheckUnavailable
from keys.rates import SharedLimit
from project.context import current_context
from project.proxies import caller_network, client_address
from project.ratelimit import Quota, parse_rate

if TYPE_CHECKING:  # rest_framework.views imports the default throttles, this module among them
    from rest_framework.views import APIView


class AddressThrottle(BaseThrottle):
    """`setting` names the rate, such as "60/minute"; "" switches it off. `subject` names the policy."""

    setting = ""
    subject = ""

    def __init__(self) -> None:
        self._wait = 1

    def allow_request(self, request: Request, view: APIView) -> bool:
        return self.within_rate(request)

    def within_rate(self, request: Request) -> bool:
        """Count the request for its address."""
        rate = getattr(settings, self.setting)
        if not rate:
            return True
        quota = self.count(caller_network(client_address(request._request)), parse_rate(rate))
        current_context().quota = quota
        self._wait = quota.reset
        return quota.remaining >= 0

    def count(self, network: str, rate: tuple[int, int]) -> Quota:
        """Raises `ReplayCheckUnavailable`: what cannot be counted is not let in."""
        return shared_limit(self.subject).count(network, rate, time.time())

    def wait(self) -> float:
        return self._wait


class AnonymousThrottle(AddressThrottle):
    """The default of every view: calls that are neither signed nor an operator's."""

    setting = "DATAFOLD_ANONYMOUS_RATE"
    subject = "anonymous"

    def allow_request(self, request: Request, view: APIView) -> bool:
        return bool(request.user and request.user.is_authenticated) or self.within_rate(request)

    def count(self, network: str, rate: tuple[int, int]) -> Quota:
        """Without the store, reading what anybody may read goes on, uncounted."""
        try:
            return super().count(network, rate)
        except ReplayCheckUnavailable:
            return Quota(self.subject, rate[0], rate[1], 0, 1)


def count_unsigned_refusal(request: Request, view: APIView) -> Throttled | None:
    """Count a 401 that nobody signed: DRF asks who may before it counts, so no throttle has seen it.

    Returns the refusal that takes its place where the address is over DATAFOLD_ANONYMOUS_RATE. Never raises: the
    401 stands, whether it can be counted or not.
    """
    try:
        for throttle in view.get_throttles():
            # Past the question who is asking: it may raise once more what the call was refused for.
            if isinstance(throttle, AnonymousThrottle) and not throttle.within_rate(request):
                return Throttled(throttle.wait())
    except DatabaseError:
        return None
    return None


class RegistrationThrottle(AddressThrottle):
    setting = "DATAFOLD_REGISTRATION_RATE"
    subject = "registration"


class VerifyThrottle(AddressThrottle):
    setting = "DATAFOLD_VERIFY_RATE"
    subject = "verification"


@lru_cache(maxsize=32)
def shared_limit(policy: str) -> SharedLimit:
    """This process's view of the limit of that name."""
    return SharedLimit(policy)


def describe(rate: str) -> dict[str, Any]:
    limit, period = parse_rate(rate)
    return {"limit": limit, "period_seconds": period}
