"""Health for load balancers, schedulers and people. Each answer is bounded when a part hangs."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

import psutil
from django.conf import settings
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from project.api.envelope import failure, rfc3339, success

CHECK_SECONDS = 2.0
_pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="health")


@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """This process answers. Nothing else is looked at: a restart would not mend it."""
    return JsonResponse(success({"status": "healthy"}))


@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """This process can serve: migrations are applied and every needed part answers."""
    parts = check_parts({"database": check_database, "migrations": check_migrations, **_redis_check()})
    healthy = all(part["status"] == "healthy" for part in parts.values())
    if healthy:
        return JsonResponse(success({"status": "healthy", "parts": parts}))
    missing = ", ".join(name for name, part in parts.items() if part["status"] != "healthy")
    error = {
        "code": "SERVICE_UNAVAILABLE",
        "message": f"Not ready: {missing}. See details.",
        "status": 503,
        "details": {"parts": parts},
    }
    response = JsonResponse(failure(error, path=request.path), status=503)
    response["Retry-After"] = "2"
    return response


@require_safe
def summary(request: HttpRequest) -> JsonResponse:
    """Status, version and time; what a person's browser or a simple monitor asks."""
    parts = check_parts({"database": check_database, **_redis_check()})
    healthy = all(part["status"] == "healthy" for part in parts.values())
    return JsonResponse(
        success(
            {
                "status": "healthy" if healthy else "unhealthy",
                "timestamp": rfc3339(timezone.now()),
                "version": settings.VERSION,
                "environment": "development" if settings.DATAFOLD_DEVELOPMENT else "production",
                "services": parts,
            }
        ),
        status=200 if healthy else 503,
    )


@require_safe
def detailed(request: HttpRequest) -> JsonResponse:
    """Everything that a person on call looks at first."""
    parts = check_parts({"database": check_database, "migrations": check_migrations, **_redis_check()})
    process = psutil.Process(os.getpid())
    memory, disk = psutil.virtual_memory(), shutil.disk_usage("/")
    return JsonResponse(
        success(
            {
                "application": {
                    "name": settings.APP_NAME,
                    "version": settings.VERSION,
                    "status": "healthy"
                    if all(p["status"] == "healthy" for p in parts.values())
                    else "unhealthy",
                    "uptime_seconds": round(time.time() - process.create_time(), 1),
                },
                "system": {
                    "memory_usage_mb": round(process.memory_info().rss / 1_048_576, 1),
                    "memory_available_mb": round(memory.available / 1_048_576, 1),
                    "cpu_percent": psutil.cpu_percent(),
                    "disk_usage_percent": round(disk.used / disk.total * 100, 1),
                },
                "configuration": {
                    "debug": settings.DEBUG,
                    "datafold_auth_enabled": settings.DATAFOLD_ENABLE_AUTH,
                    "datafold_auth_required": settings.DATAFOLD_REQUIRE_AUTH,
                    "registration_policy": settings.DATAFOLD_REGISTRATION_POLICY,
                },
                "services": parts,
            }
        )
    )


def check_parts(checks: dict[str, Callable[[], dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Run the checks side by side; one that hangs or fails is unhealthy and holds up nobody."""
    running = {name: _pool.submit(_timed, check) for name, check in checks.items()}
    return {name: _outcome(future) for name, future in running.items()}


def _timed(check: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    started = time.perf_counter()
    try:
        facts = check()
    finally:
        connections.close_all()
    return {"status": "healthy", "ms": round((time.perf_counter() - started) * 1000, 1), **facts}


def _outcome(future: Any) -> dict[str, Any]:
    try:
        result: dict[str, Any] = future.result(timeout=CHECK_SECONDS)
    except FutureTimeout:
        return {"status": "unhealthy", "error": f"no answer within {CHECK_SECONDS:g} s"}
    except Exception as error:  # noqa: BLE001  whatever a part's driver raises means that the part is unwell
        return {"status": "unhealthy", "error": type(error).__name__}
    return result


def check_database() -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return {"kind": connection.vendor}


def check_migrations() -> dict[str, Any]:
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        return {"status": "unhealthy", "error": f"{len(missing)} migrations are not applied"}
    return {}


def check_redis() -> dict[str, Any]:
    import redis

    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1) as client:
        client.ping()
    return {}


def _redis_check() -> dict[str, Callable[[], dict[str, Any]]]:
    return {"redis": check_redis} if settings.REDIS_URL else {}
