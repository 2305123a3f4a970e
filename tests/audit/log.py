"""A log to tamper with, as somebody does who owns the database."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils import timezone

from accounts.audit import Actor, record_event
from accounts.audit_check import Report, verify_log
from accounts.models import AuditEvent
from accounts.sealing import seal_events
from keys.server_keys import current_signer, vouched_for

TABLES = ("accounts_auditevent", "accounts_auditcheckpoint", "accounts_auditseal")


def append(count: int, action: str = "test.happened") -> list[AuditEvent]:
    return [
        record_event(
            actor=Actor.system("tests"),
            action=action,
            target_id=str(number),
            after={"number": number, "text": "ö"},
        )
        for number in range(count)
    ]


def seal(now: datetime | None = None, **kwargs: Any) -> dict[str, int]:
    return dict(seal_events(signer=current_signer(), now=now or timezone.now(), **kwargs))


def verify(kept: Iterable[dict[str, Any]] = ()) -> Report:
    return verify_log(vouched_for=vouched_for, kept=kept)


def kinds(report: Report) -> set[str]:
    return {finding.kind for finding in report.findings}


def tamper(*statements: str) -> None:
    """Run SQL as the owner of the database: triggers stop nobody who can take them away."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(
                "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name LIKE 'accounts_audit%%'"
            )
            for (name,) in cursor.fetchall():
                cursor.execute(f"DROP TRIGGER {name}")
        else:
            cursor.execute("SET LOCAL session_replication_role = replica")
        for statement in statements:
            cursor.execute(statement)
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL session_replication_role = origin")
