"""`python -m project.healthcheck`: asks the server of this container whether it lives; exit 0 or 1."""

from __future__ import annotations

import os
import sys
from urllib.request import ProxyHandler, Request, build_opener


def main() -> int:
    """Asks on the loopback interface, under a host name that the server answers to."""
    host = os.environ.get("ALLOWED_HOSTS", "").split(",")[0].strip().lstrip(".")
    request = Request(
        f"http://127.0.0.1:{os.environ.get('PORT', '8000')}/health/live",
        headers={"Host": host if host not in ("", "*") else "127.0.0.1"},
    )
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=4):
            return 0
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
