"""Prometheus metrics. Labels are bounded: routes and not paths, codes and not messages."""

from __future__ import annotations

import os

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client import REGISTRY as DEFAULT_REGISTRY
from prometheus_client.multiprocess import MultiProcessCollector

from project.api.envelope import json_failure
from project.context import RequestContext
from project.proxies import client_address, in_networks

REQUESTS = Counter("datafold_requests_total", "Requests by route and status.", ["method", "route", "status"])
DURATION = Histogram(
    "datafold_request_duration_seconds",
    "Time from the first byte of the application to the last.",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
REFUSALS = Counter("datafold_refusals_total", "Refused requests by error code.", ["code"])
VERIFIED = Counter("datafold_signatures_verified_total", "Signatures that held and were let in.")


def observe_request(request: HttpRequest, status: int, seconds: float, context: RequestContext) -> None:
    match = request.resolver_match
    route = (match.route if match else "") or "unknown"
    method = request.method if request.method in _METHODS else "OTHER"
    REQUESTS.labels(method, route, str(status)).inc()
    DURATION.labels(route).observe(seconds)
    if code := context.log_fields.get("error_code"):
        REFUSALS.labels(code).inc()
    if "client_id" in context.log_fields:
        VERIFIED.inc()


_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


@require_GET
def metrics_view(request: HttpRequest) -> HttpResponse:
    """`/metrics`, for the networks that DATAFOLD_METRICS_NETWORKS lists."""
    if not in_networks(client_address(request), settings.DATAFOLD_METRICS_NETWORKS):
        return json_failure(request, "NOT_FOUND", "There is nothing here.", 404)
    return HttpResponse(generate_latest(_registry()), content_type=CONTENT_TYPE_LATEST)


def _registry() -> CollectorRegistry:
    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        return DEFAULT_REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return registry
