"""`make chaos` must notice what it is there to notice: each of its checks fails on what it looks for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.chaos import judge
from benchmarks.chaos.judge import Effect, Window
from benchmarks.chaos.records import Record


def record(**changes: Any) -> Record:
    return Record(
        **{
            "client": "customer",
            "profile": "strict",
            "kind": "me",
            "request": {"method": "GET", "url": "https://localhost/api/v1/auth/me", "headers": {}},
            "nonce": "once",
            "sent": 100.0,
            "answered": 100.1,
            "status": 200,
            "code": "",
            "request_id": "r",
            **changes,
        }
    )


REPLAY: dict[str, Any] = {"kind": "replay", "sent": 101.0}


def test_a_replay_that_is_done_counts() -> None:
    found = judge.accepted_replays([record(), record(**REPLAY)])
    assert len(found) == 1
    assert "nonce once" in found[0]


def test_a_replay_that_gets_past_the_signature_counts_even_if_it_is_refused_then() -> None:
    late_refusal = record(**REPLAY, status=409, code="SCHEMA_EXISTS")
    assert judge.accepted_replays([record(), late_refusal])


@pytest.mark.parametrize(
    "code", ["NONCE_REUSED", "REPLAY_CHECK_UNAVAILABLE", "SIGNATURE_EXPIRED", "HTTP 502"]
)
def test_a_replay_that_is_refused_does_not_count(code: str) -> None:
    assert judge.accepted_replays([record(), record(**REPLAY, status=401, code=code)]) == []


def test_what_never_had_an_answer_may_be_let_in_once_and_not_twice() -> None:
    lost = record(status=0, code="ReadTimeout")
    assert judge.accepted_replays([lost, record(**REPLAY)]) == []
    assert judge.accepted_replays([lost, record(**REPLAY), record(**REPLAY)])


def test_the_same_nonce_of_two_clients_is_no_replay() -> None:
    assert judge.accepted_replays([record(), record(client="other")]) == []


def test_a_revoked_key_that_is_let_in_counts() -> None:
    refused = record(kind="leaver", forbidden=True, status=401, code="KEY_REVOKED")
    assert judge.revoked_let_in([record(kind="leaver"), refused]) == []
    assert judge.revoked_let_in([record(kind="leaver", forbidden=True)])


def test_an_answer_of_500_counts() -> None:
    assert judge.internal_errors([record(status=500, code="INTERNAL_ERROR")])
    assert judge.internal_errors([record(status=500, code="HTTP 500")])
    assert judge.internal_errors([record(), record(status=503, code="SERVICE_UNAVAILABLE")]) == []


LEFT: dict[str, Any] = {"kind": "leaver", "answered": 110.0, "status": 403, "code": "KEY_REVOKED"}
WINDOW = Window("Redis killed", begun=100.0, lifted=103.0, ended=115.0, within=5.0, jobs_back=104.5)


def failed(at: float, profile: str = "strict") -> Record:
    return record(sent=at - 0.1, answered=at, status=503, code="REPLAY_CHECK_UNAVAILABLE", profile=profile)


def done(at: float, profile: str = "strict") -> Record:
    return record(sent=at - 0.1, answered=at, profile=profile)


def test_how_long_a_fault_was_felt() -> None:
    replay = record(**{**REPLAY, "answered": 110.0}, status=401, code="NONCE_REUSED")
    before, inside = done(99), [done(100.5), failed(102), failed(107.5), done(108), done(114)]
    left = [done(109), record(**LEFT, forbidden=True), record(**LEFT)]
    others = [failed(104, "standard"), replay, *left]
    effect = judge.effect_of(WINDOW, [before, *inside, *others], ["customer"])
    assert effect.requests == 7
    assert effect.failed == {"REPLAY_CHECK_UNAVAILABLE": 3}
    assert effect.back == {"standard": pytest.approx(1.0), "strict": pytest.approx(4.5)}
    assert effect.gap == pytest.approx(7.5)
    assert effect.never_back == []
    assert effect.jobs == pytest.approx(1.5)
    assert judge.too_slow([effect]) == []


def effect(records: list[Record], *, clients: tuple[str, ...] = ("customer",), **window: Any) -> Effect:
    return judge.effect_of(replace(WINDOW, **window), records, clients)


def test_a_service_that_stays_away_too_long_counts() -> None:
    assert judge.too_slow([effect([done(100.5), done(114)])]) == []
    assert judge.too_slow([effect([done(100.5), failed(108.5), done(114)])])


def test_a_newcomer_who_is_not_served_counts_like_everybody() -> None:
    newcomer = record(kind="leaver", client="new", sent=109, answered=109.1, status=503, code="X")
    assert judge.too_slow([effect([done(100.5), newcomer, done(114)])])


@pytest.mark.parametrize("last", [[], [failed(104)], [done(102)]])
def test_a_client_that_is_silent_or_failed_last_is_not_back(last: list[Record]) -> None:
    """Also one whose process died, of which there is no record at all."""
    quiet = [replace(each, client="quiet") for each in last]
    found = judge.too_slow([effect([done(100.5), done(114), *quiet], clients=("customer", "quiet"))])
    assert found == ["Redis killed: not served again: quiet"]


@pytest.mark.parametrize("jobs_back", [None, 109.0])
def test_jobs_that_stand_still_too_long_count(jobs_back: float | None) -> None:
    assert judge.too_slow([effect([done(101), done(114)], jobs_back=jobs_back)])


def test_one_failure_counts_where_none_may_be() -> None:
    records = [done(100.5), failed(102), done(114)]
    assert judge.felt([effect(records), effect([done(114)], unfelt=True)]) == []
    assert judge.felt([effect(records, unfelt=True)]) == ["Redis killed: 1 failed"]


def test_a_run_that_did_not_do_something_says_nothing_about_it() -> None:
    records = [record(), record(kind="create", status=503, code="SERVICE_UNAVAILABLE")]
    assert judge.never_asked(records, ["me"]) == []
    assert judge.never_asked(records, ["me", "create", "replay"]) == ["create", "replay"]
    assert judge.never_asked([record(**REPLAY, status=401, code="NONCE_REUSED")], ["replay"]) == []
