"""What the database has in the end, against what clients were told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from benchmarks.chaos.records import Record

Query = Callable[[str], list[tuple[Any, ...]]]
"""Runs one SQL statement; its rows."""

ACTIONS = {
    "create": "schema.created",
    "version": "schema.version_added",
    "register": "key.registered",
    "revoke": "key.revoked",
}
VERSIONS = (
    "SELECT s.name, v.number, v.fingerprint FROM schemas_schemaversion v "
    "JOIN schemas_schema s ON s.id = v.schema_id"
)


def acknowledged(records: Iterable[Record]) -> list[Record]:
    """Writes that the server said it had done."""
    return [each for each in records if each.accepted and (each.kind in ACTIONS or each.kind == "validate")]


def missing_writes(records: Iterable[Record], query: Query) -> list[str]:
    """Acknowledged, and not there."""
    versions = {(name, number): fingerprint for name, number, fingerprint in query(VERSIONS)}
    keys = {str(pk) for (pk,) in query("SELECT id FROM keys_key")}
    jobs = {str(pk) for (pk,) in query("SELECT id FROM schemas_validationjob")}
    revoked = {
        client_id
        for (client_id,) in query(
            "SELECT c.client_id FROM keys_key k JOIN accounts_client c ON c.id = k.client_id "
            "WHERE k.status = 'revoked'"
        )
    }

    def is_there(each: Record) -> bool:
        if each.kind in ("create", "version"):
            place = (each.facts["schema"], each.facts["number"])
            return bool(versions.get(place) == each.facts["fingerprint"])
        if each.kind == "revoke":
            return each.client in revoked
        return each.facts["id"] in (keys if each.kind == "register" else jobs)

    return [_named(each) for each in acknowledged(records) if not is_there(each)]


def writes_without_event(records: Iterable[Record], query: Query) -> list[str]:
    """Acknowledged writes without their audit event, and rows of the database without theirs."""
    events = Counter(query("SELECT request_id, action FROM accounts_auditevent WHERE request_id <> ''"))
    found = [
        _named(each)
        for each in acknowledged(records)
        if each.kind in ACTIONS and events[each.request_id, ACTIONS[each.kind]] != 1
    ]
    found += [f"version {number} of {name}" for name, number in query(_VERSIONS_WITHOUT_EVENT)]
    found += [f"event {pk} about a version that is not there" for (pk,) in query(_EVENTS_WITHOUT_VERSION)]
    found += [f"key {pk}" for (pk,) in query(_KEYS_WITHOUT_EVENT)]
    return found


_OF_VERSIONS = "e.target_kind = 'schema' AND e.action IN ('schema.created', 'schema.version_added')"
_VERSIONS_WITHOUT_EVENT = (
    "SELECT s.name, v.number FROM schemas_schemaversion v JOIN schemas_schema s ON s.id = v.schema_id "
    f"WHERE 1 <> (SELECT count(*) FROM accounts_auditevent e WHERE {_OF_VERSIONS} "
    "AND e.target_id = CAST(s.id AS text) AND CAST(e.after ->> 'number' AS integer) = v.number)"
)
_EVENTS_WITHOUT_VERSION = (
    f"SELECT e.id FROM accounts_auditevent e WHERE {_OF_VERSIONS} AND NOT EXISTS ("
    "SELECT 1 FROM schemas_schemaversion v WHERE CAST(v.schema_id AS text) = e.target_id "
    "AND v.number = CAST(e.after ->> 'number' AS integer))"
)
_KEYS_WITHOUT_EVENT = (
    "SELECT k.id FROM keys_key k WHERE 1 <> (SELECT count(*) FROM accounts_auditevent e "
    "WHERE e.target_kind = 'key' AND e.action = 'key.registered' AND e.target_id = CAST(k.id AS text))"
)


def expiries(query: Query) -> tuple[list[str], list[str]]:
    """Keys past their end that did not expire, and keys that expired more than once."""
    rows = query(
        "SELECT c.client_id, k.status, (SELECT count(*) FROM accounts_auditevent e WHERE e.action = 'key.expired' "
        "AND e.target_id = CAST(k.id AS text)) FROM keys_key k JOIN accounts_client c ON c.id = k.client_id "
        "WHERE c.client_id LIKE 'expiring-%'"
    )
    lost = [client_id for client_id, status, events in rows if status != "expired" or events < 1]
    return lost, [client_id for client_id, _, events in rows if events > 1]


def validations(records: Iterable[Record], query: Query) -> tuple[list[str], list[str]]:
    """Acknowledged validations that did not end as they must, and those that counted records twice."""
    rows = {
        str(pk): (state, records, invalid)
        for pk, state, records, invalid in query(
            "SELECT id, state, records, invalid FROM schemas_validationjob"
        )
    }
    lost, twice = [], []
    for each in acknowledged(records):
        if each.kind != "validate" or each.facts["id"] not in rows:
            continue
        state, count, invalid = rows[each.facts["id"]]
        if state != "done" or count < each.facts["records"] or invalid < each.facts["invalid"]:
            lost.append(f"validation {each.facts['id']}: {state}, {count} of {each.facts['records']} records")
        elif (count, invalid) != (each.facts["records"], each.facts["invalid"]):
            twice.append(f"validation {each.facts['id']}: {count} records for {each.facts['records']}")
    return lost, twice


def unsealed(query: Query) -> list[str]:
    """Audit events without a seal, after everything was sealed."""
    rows = query(
        "SELECT e.id FROM accounts_auditevent e LEFT JOIN accounts_auditseal s ON s.event_id = e.id "
        "WHERE s.event_id IS NULL"
    )
    return [f"event {pk}" for (pk,) in rows]


def usage(records: Sequence[Record], query: Query) -> tuple[int, int, list[str]]:
    """Requests that were let in, those that were counted, and clients of which more were counted than sent.

    A request whose answer never came may have been let in.
    """
    certain = Counter(each.client for each in records if each.nonce and each.passed)
    at_most = Counter(
        each.client for each in records if each.nonce and (each.passed or each.code not in _NEVER_COUNTED)
    )
    counted: dict[str, int] = dict(
        query(
            "SELECT c.client_id, sum(k.usage_count) FROM keys_key k JOIN accounts_client c ON c.id = k.client_id "
            "GROUP BY c.client_id"
        )
    )
    too_many = [
        f"{client}: {counted[client]} counted, {at_most[client]} sent"
        for client in certain
        if int(counted.get(client, 0)) > at_most[client]
    ]
    return certain.total(), int(sum(counted.values())), too_many


_NEVER_COUNTED = frozenset({"NONCE_REUSED", "SIGNATURE_EXPIRED", "TIMESTAMP_IN_FUTURE", "KEY_REVOKED"})


def pending(query: Query) -> dict[str, int]:
    """What background work is still to be done, by kind: first what makes more of it, then that."""
    questions = {
        "expiries": (
            "SELECT count(*) FROM keys_key k JOIN accounts_client c ON c.id = k.client_id "
            "WHERE k.status = 'active' AND c.client_id LIKE 'expiring-%'"
        ),
        "validations": "SELECT count(*) FROM schemas_validationjob WHERE state IN ('queued', 'running')",
        "events not told": (
            "SELECT count(*) FROM accounts_auditevent e, accounts_webhookcursor c "
            "WHERE c.name = 'audit' AND e.id > c.position"
        ),
        "deliveries": "SELECT count(*) FROM accounts_webhookdelivery WHERE status = 'pending'",
    }
    return {kind: int(query(question)[0][0]) for kind, question in questions.items()}


def _named(record: Record) -> str:
    return f"{record.kind} of {record.client}, request {record.request_id}: {record.facts}"
