"""Rows by the million, made inside SQLite: a client, a key and two audit events for each number."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import connection
from django.db.models import Model

from accounts.models import AuditEvent, Client, User
from keys.models import Key, KeyUsage

LONG_AGO = "datetime('now', '-' || (i % 300) || ' days', '-' || (i % 86399) || ' seconds')"
STATES = "CASE i % 10 WHEN 0 THEN 'pending' WHEN 1 THEN 'retired' WHEN 2 THEN 'suspended' ELSE 'active' END"


def fill(*, keys: int, counters: int, operator: str) -> None:
    """Migrate the empty database and fill it.

    Args:
        counters: hourly usage counters, spread over the last day and the first keys.
        operator: name of a manager to make.
    """
    call_command("migrate", verbosity=0, skip_checks=True)
    User.objects.create_user(operator, is_staff=True).groups.add(Group.objects.get(name="manager"))
    insert_rows(
        Client,
        keys,
        id="i",
        client_id="'client-' || i",
        skeleton="'dlent' || i",
        name="CASE WHEN i % 2 THEN 'Service ' || i ELSE '' END",
        name_skeleton="CASE WHEN i % 2 THEN 'servlce' || i ELSE '' END",
        created_at=LONG_AGO,
        updated_at=LONG_AGO,
    )
    insert_rows(
        Key,
        keys,
        id="printf('%032x', i)",
        client_id="i",
        thumbprint="printf('%043d', i)",
        fingerprint="printf('%064x', i)",
        algorithm="'ed25519'",
        public_key="CAST(x'302a300506032b6570032100' || randomblob(32) AS BLOB)",
        status=STATES,
        registered_at=LONG_AGO,
        expires_at="datetime('now', '+' || (i % 365) || ' days')",
        decided_at=LONG_AGO,
        last_used_at=f"CASE WHEN i % 3 = 0 THEN NULL ELSE {LONG_AGO} END",
    )
    insert_rows(
        AuditEvent,
        2 * keys,
        id="i",
        created_at=LONG_AGO,
        actor_kind="'client'",
        actor_id="'client-' || i",
        actor_label="'client-' || i",
        action="'key.registered'",
        target_kind="'key'",
        target_id="printf('%032x', i)",
    )
    insert_rows(
        KeyUsage,
        counters,
        id="i",
        key_id="printf('%032x', 1 + i / 24)",
        hour="strftime('%Y-%m-%d %H:00:00', 'now', '-' || (i % 24) || ' hours')",
        count="1 + i % 50",
    )


def insert_rows(model: type[Model], how_many: int, /, *, first: int = 1, **expressions: str) -> None:
    """`how_many` rows, numbered i from `first`.

    Args:
        expressions: SQL over i, by column; the other columns get the model's defaults.
    """
    columns: dict[str, str] = {
        field.column: expressions.get(field.column)
        or ("NULL" if field.null else _literal(field.get_default()))
        for field in model._meta.concrete_fields
        if field.column
    }
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH RECURSIVE numbers(i) AS (SELECT %s UNION ALL SELECT i + 1 FROM numbers WHERE i < %s) "
            f"INSERT INTO {model._meta.db_table} ({', '.join(columns)}) "
            f"SELECT {', '.join(columns.values()).replace('%', '%%')} FROM numbers",
            [first, first + how_many - 1],
        )


def _literal(value: Any) -> str:
    match value:
        case bool() | int() | float():
            return str(int(value) if isinstance(value, bool) else value)
        case list() | dict():
            return f"'{json.dumps(value)}'"
        case _:
            return f"'{value or ''}'"
