"""`python -m project.healthcheck`: asks the server of this container whether it lives; exit 0 or 1."""

from __future__ import annotations

import os
import sys
from urllib.request import ProxyHandler, Request, build_opener


def main() -> int:
    """Asks on the loopback interface; the server answers for its health under any address of its own."""
    request = Request(f"http://127.0.0.1:{os.environ.get('PORT', '8000')}/health/live")
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=4):
            return 0
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
