"""Let clients in and subscribe a webhook: run in a server's environment, told by JSON on standard input."""

from __future__ import annotations

import json
import sys
from datetime import datetime

import django

django.setup()

from accounts.audit import Actor  # noqa: E402
from accounts.webhooks.subscriptions import create_webhook  # noqa: E402
from keys import lifecycle  # noqa: E402
from keys.httpsig import load_public_key  # noqa: E402
from keys.registration import Registration, register  # noqa: E402

OPERATOR = Actor.system("chaos")


def main() -> None:
    wish = json.load(sys.stdin)
    for each in wish["clients"]:
        key = register(
            Registration(public_key=load_public_key(each["public_key"]), client_id=each["client_id"])
        )
        expires_at = each.get("expires_at")
        lifecycle.approve(
            key,
            actor=OPERATOR,
            profile=each["profile"],
            expires_at=datetime.fromisoformat(expires_at) if expires_at else None,
        )
    create_webhook(actor=OPERATOR, client=None, url=wish["webhook"], events=["*"])


if __name__ == "__main__":
    main()
