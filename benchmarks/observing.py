"""What counting a request for Prometheus costs, with the files that several processes share.

Run it with `python -m benchmarks.observing`; on two cores it takes a few seconds.
"""

from __future__ import annotations

import os
import tempfile
import time
from types import SimpleNamespace
from typing import Any

CALLS = 1000
ROUNDS = 15


def main() -> None:
    """Print the best round's microseconds for all that one signed request has counted."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
        os.environ.setdefault("DATAFOLD_DEVELOPMENT", "true")
        os.environ.setdefault("SECRET_KEY", "of-a-benchmark-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEF")
        best = min(_round() for _ in range(ROUNDS))
        print(f"{best / CALLS * 1e6:.1f} µs to observe a request: five phases, two caches, route and status")


def _round() -> float:
    from project.context import RequestContext
    from project.metrics.hot import count_lookup, observe_request, phase_timer

    request: Any = SimpleNamespace(method="GET", resolver_match=SimpleNamespace(route="api/v1/auth/me"))
    context = RequestContext(log_fields={"client_id": "x"})
    started = time.perf_counter()
    for _ in range(CALLS):
        timer = phase_timer()
        for phase in ("parse", "lookup", "rules", "cryptography", "replay"):
            timer.lap(phase)
        count_lookup("directory", True)
        count_lookup("memo", False)
        observe_request(request, 200, 0.004, context)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
