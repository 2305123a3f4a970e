"""Backoff, gaps, redaction, types of event."""

from __future__ import annotations

import random
import subprocess
import sys
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.webhooks import events
from accounts.webhooks.backoff import LONGEST, delay_after
from accounts.webhooks.gaps import Gap, advance
from accounts.webhooks.redaction import BODY_BYTES, body_to_keep, response_fields_to_keep


def test_backoff_doubles_to_an_hour_with_half_of_it_left_to_chance() -> None:
    assert [delay_after(n, jitter=1).total_seconds() for n in range(1, 6)] == [10, 20, 40, 80, 160]
    assert delay_after(1, jitter=0) == timedelta(seconds=5)
    assert delay_after(10_000, jitter=1) == LONGEST


@given(st.lists(st.lists(st.integers(1, 60), max_size=8), max_size=20), st.randoms())
def test_every_row_is_read_once_in_whatever_order_it_appears(
    batches: list[list[int]], chance: random.Random
) -> None:
    """Rows of a growing table, committed in any order: each is seen exactly once."""
    position, gaps = 0, list[Gap]()
    table: set[int] = set()
    read: list[int] = []
    for batch in [*batches, []]:
        table |= set(batch)
        inside = [n for n in table if any(gap.first <= n <= gap.last for gap in gaps)]
        behind = sorted(n for n in table if n > position)[: chance.randint(0, 9)]
        read += [*inside, *behind]
        position, gaps = advance(position, gaps, [*inside, *behind], now=0, lifetime=10)
    rest = [n for n in table if n > position or any(gap.first <= n <= gap.last for gap in gaps)]
    assert sorted([*read, *rest]) == sorted(table)


def test_a_gap_is_forgotten_in_the_end() -> None:
    position, gaps = advance(0, [], [1, 5], now=0, lifetime=10)
    assert (position, gaps) == (5, [Gap(2, 4, 10)])
    assert advance(5, gaps, [3], now=5, lifetime=10) == (5, [Gap(2, 2, 10), Gap(4, 4, 10)])
    assert advance(5, gaps, [], now=10, lifetime=10) == (5, [])


@pytest.mark.parametrize(
    "body",
    [
        b'{"token": "s3cret"}',
        b"Authorization: Bearer s3cret",
        b"password=s3cret&x=1",
        b"api_key : s3cret",
        b'{"client_secret":"s3cret"}',
        b"Set-Cookie: s3cret",
    ],
)
def test_what_looks_like_a_secret_is_not_kept(body: bytes) -> None:
    assert "s3cret" not in body_to_keep(body)
    assert "[redacted]" in body_to_keep(body)


def test_what_is_kept_is_bounded_and_plain() -> None:
    assert len(body_to_keep(b"a" * 10_000)) == BODY_BYTES
    assert body_to_keep(b"\x00\xff<b>\x1b[31m").isprintable()
    kept = response_fields_to_keep(
        [("Content-Type", "text/plain"), ("Set-Cookie", "sid=1"), *[("X", "y")] * 100]
    )
    assert kept["Content-Type"] == "text/plain"
    assert kept["Set-Cookie"] == "[redacted]"


def test_families_and_types() -> None:
    assert events.is_wanted("key.approved", ["key.*"])
    assert events.is_wanted("key.approved", ["*"])
    assert not events.is_wanted("key.approved", ["schema.*", "key.revoked"])
    assert events.type_of("key.registered", {"status": "pending"}) == "key.pending"
    assert events.type_of("key.registered", {"status": "active"}) == "key.registered"
    assert events.type_of("schema.version_added", None) == "schema.version_created"
    assert events.type_of("operator.logged_in", None) is None
    assert events.pattern_problem("key.pending", for_client=True)
    assert not events.pattern_problem("key.pending", for_client=False)
    assert events.pattern_problem("nonsense", for_client=False)
    assert events.pattern_problem({"a": 1}, for_client=False)


def test_every_type_can_happen() -> None:
    made = {events.type_of(action, None) for action in events.ACTIONS} | {events.PENDING, events.EXPIRING}
    assert made == set(events.TYPES)


def test_the_pure_parts_need_no_django() -> None:
    names = ("backoff", "events", "gaps", "message", "redaction", "targets", "transport")
    modules = ", ".join(f"accounts.webhooks.{name}" for name in names)
    code = f"import {modules}, sys; sys.exit('django' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
