"""`/metrics`: this process's counters, or those of all gunicorn's workers together, and the state."""

from __future__ import annotations

import os
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client import REGISTRY as DEFAULT_REGISTRY
from prometheus_client.multiprocess import MultiProcessCollector

from project.api.envelope import json_failure
from project.metrics.state import StateCollector
from project.proxies import client_address, in_networks


@require_GET
def metrics_view(request: HttpRequest) -> HttpResponse:
    """For the networks that DATAFOLD_METRICS_NETWORKS lists; to anybody else there is nothing here."""
    if not in_networks(client_address(request), settings.DATAFOLD_METRICS_NETWORKS):
        return json_failure(request, "NOT_FOUND", "There is nothing here.", 404)
    exposition = generate_latest(_counters()) + generate_latest(_state())
    return HttpResponse(exposition, content_type=CONTENT_TYPE_LATEST)


def _counters() -> CollectorRegistry:
    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        return DEFAULT_REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return registry


@lru_cache(maxsize=1)
def _state() -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(StateCollector())
    return registry
