"""Limits per address for calls that anybody may make. Counted where all processes see it."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from keys.rates import count_request
from project.proxies import client_address

_PERIODS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}


class AddressThrottle(BaseThrottle):
    """`setting` names the rate, such as "60/minute"; "" switches it off."""

    setting = ""
    subject = ""

    def __init__(self) -> None:
        self._wait = 0.0

    def allow_request(self, request: Request, view: APIView) -> bool:
        rate = getattr(settings, self.setting)
        if not rate:
            return True
        limit, period = parse_rate(rate)
        now = time.time()
        count = count_request(f"{self.subject}:{client_address(request._request)}", period=period, now=now)
        self._wait = period - now % period
        return count <= limit

    def wait(self) -> float:
        return self._wait + 1


class RegistrationThrottle(AddressThrottle):
    setting = "DATAFOLD_REGISTRATION_RATE"
    subject = "register"


class VerifyThrottle(AddressThrottle):
    setting = "DATAFOLD_VERIFY_RATE"
    subject = "verify"


def parse_rate(rate: str) -> tuple[int, int]:
    """ "60/minute" → (60 requests, 60 seconds)."""
    count, _, period = rate.partition("/")
    return int(count), _PERIODS[period.strip()]


def describe(rate: str) -> dict[str, Any]:
    limit, period = parse_rate(rate)
    return {"limit": limit, "period_seconds": period}
