"""Operators for tests: made by the service, signed in over the wire."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value

from accounts import operators
from accounts.audit import Actor
from accounts.models import AuditEvent, User
from accounts.roles import Role
from tests.support.client import WireClient

PASSWORD = "a long enough passphrase"
API = "/api/v1/operators"


@dataclass
class Operator:
    """An operator and the client that calls for them."""

    user: User
    http: WireClient
    secret: str = ""

    def login(self, **body: Any) -> Any:
        return self.http.post(
            f"{API}/tokens",
            {"username": self.user.username, "password": PASSWORD, **body},
            content_type="application/json",
        )

    def tokens(self, **body: Any) -> dict[str, Any]:
        answer = self.login(**body)
        assert answer.status_code == 200, answer.content
        data: dict[str, Any] = answer.json()["data"]
        return data

    def call(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        """Call `path` under operators/ with a token, a fresh one if none is given."""
        if not token:
            token = self._token = getattr(self, "_token", "") or self.tokens()["access_token"]
        extra: dict[str, Any] = {} if body is None else {"data": body, "content_type": "application/json"}
        url = path if path.startswith("/") else f"{API}/{path}"
        return getattr(self.http, method.lower())(url, HTTP_AUTHORIZATION=f"Bearer {token}", **extra)

    def add_totp(self) -> str:
        """Set up an authenticator app; the code of now is `self.code()`."""
        self.secret = generate_totp_secret()
        TOTP.activate(self.user, self.secret)
        return self.secret

    def add_recovery_codes(self) -> list[str]:
        codes: list[str] = RecoveryCodes.activate(self.user).generate_codes()
        return codes

    def code(self, steps: int = 0) -> str:
        """The app's code of now, or of some 30 second steps later."""
        return totp(self.secret, steps)

    def forget_spent_codes(self) -> None:
        """As if the next 30 seconds had come: a code is good once."""
        for row in Authenticator.objects.filter(user=self.user, type=Authenticator.Type.TOTP):
            row.data.pop("last_counter", None)
            row.save()


def totp(secret: str, steps: int = 0) -> str:
    value: str = format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps))
    return value


def make_operator(role: str | None = "admin", username: str = "", **fields: Any) -> Operator:
    user, _ = operators.create_operator(
        actor=Actor.system("tests"),
        username=username or f"{role or 'nobody'}-{User.objects.count()}",
        role=Role(role) if role else None,
        password=PASSWORD,
        **fields,
    )
    return Operator(user, WireClient())


def error_code(answer: Any) -> str:
    code: str = answer.json()["error"]["code"]
    return code


def actions(user: User | None = None) -> list[str]:
    """Actions in the audit log, oldest first; those on `user` only if given."""
    rows = AuditEvent.objects.filter(target_kind="operator").order_by("id")
    if user is not None:
        rows = rows.filter(target_id=str(user.pk))
    return list(rows.values_list("action", flat=True))
