"""Everything that must hold in the end, as a list of bounds: each a count of violations that must be 0."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import psycopg

from benchmarks.chaos import database, judge, webhooks
from benchmarks.chaos.installation import Installation
from benchmarks.chaos.judge import Effect
from benchmarks.chaos.operations import KINDS
from benchmarks.chaos.records import Record
from benchmarks.chaos.webhooks import Deliveries


@dataclass(frozen=True, slots=True)
class Bound:
    """What must not happen, and where it did. `note`: a figure that belongs to it."""

    name: str
    violations: list[str]
    note: str = ""

    @property
    def holds(self) -> bool:
        return not self.violations


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run came to."""

    records: list[Record]
    effects: list[Effect]
    bounds: list[Bound]
    commands: list[tuple[str, str]]
    restarts: Counter[str]
    skipped: list[tuple[str, str]] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return all(bound.holds for bound in self.bounds)


def judge_run(
    site: Installation,
    records: list[Record],
    effects: list[Effect],
    *,
    left_undone: dict[str, int],
    skipped: Sequence[tuple[str, str]],
) -> Verdict:
    """Look at the records, the database and the receiver, and run the two commands that verify."""
    sealed = _command(site, "seal_audit_log")
    commands = [_command(site, "verify_audit_log"), _command(site, "verify_receipts")]
    with psycopg.connect(site.dsn()) as connection:

        def query(sql: str) -> list[tuple[object, ...]]:
            return connection.execute(sql.encode()).fetchall()

        bounds = [
            *_of_clients(records, effects),
            *_of_writes(records, query),
            *_of_background_work(site, records, query, left_undone),
            Bound("commands that failed", [said for said, fine in (sealed, *commands) if not fine]),
        ]
    return Verdict(
        records,
        effects,
        bounds,
        [(said, "holds" if fine else "fails") for said, fine in commands],
        site.restarts,
        list(skipped),
    )


def _of_clients(records: list[Record], effects: list[Effect]) -> list[Bound]:
    replays = sum(each.is_replay for each in records)
    forbidden = sum(each.forbidden for each in records)
    return [
        Bound("replays accepted", judge.accepted_replays(records), f"of {replays:,} sent"),
        Bound(
            "revoked keys let in", judge.revoked_let_in(records), f"{forbidden} requests after a revocation"
        ),
        Bound("kinds of requests that never came to pass", judge.never_asked(records, KINDS)),
        Bound("answers of 500", judge.internal_errors(records)),
        Bound("faults after which the service was not back in time", judge.too_slow(effects)),
        Bound("faults that clients felt and must not feel", judge.felt(effects)),
    ]


def _of_writes(records: list[Record], query: database.Query) -> list[Bound]:
    writes = len(database.acknowledged(records))
    return [
        Bound("acknowledged writes missing", database.missing_writes(records, query), f"of {writes:,}"),
        Bound("writes without audit event", database.writes_without_event(records, query)),
    ]


def _of_background_work(
    site: Installation, records: list[Record], query: database.Query, left_undone: dict[str, int]
) -> list[Bound]:
    deliveries = Deliveries(site.webhooks.receiver.received)
    expired_late, expired_twice = database.expiries(query)
    validated_not, validated_twice = database.validations(records, query)
    let_in, counted, counted_twice = database.usage(records, query)
    undone = [f"{count} {kind} left" for kind, count in left_undone.items() if count]
    return [
        Bound("background work left undone", undone),
        Bound("keys that did not expire", expired_late),
        Bound("keys that expired twice", expired_twice),
        Bound("file validations lost", validated_not),
        Bound("file validations done twice", validated_twice),
        Bound(
            "webhooks lost",
            webhooks.lost(deliveries, query),
            f"{len(deliveries.by_event):,} events received, {deliveries.again} of them again",
        ),
        Bound("webhooks told twice", webhooks.told_twice(deliveries, query)),
        Bound("webhooks out of order", webhooks.out_of_order(deliveries, query)),
        Bound("webhooks whose signature does not hold", site.webhooks.refused),
        Bound("audit events without a seal", database.unsealed(query)),
        Bound("uses counted twice", counted_twice, f"{counted:,} counted, {let_in:,} answered"),
    ]


def _command(site: Installation, name: str) -> tuple[str, bool]:
    """The last line that it printed, and whether it succeeded."""
    result = site.run("manage.py", name)
    said = (result.stdout if result.returncode == 0 else result.stderr).strip().splitlines()
    return f"{name}: {said[-1] if said else ''}", result.returncode == 0
