"""A broken bound is told, in the terminal, in the report and by the exit code; so is what was not tried."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.chaos import __main__ as command
from benchmarks.chaos import judge, report
from benchmarks.chaos.runner import Run
from benchmarks.chaos.verdict import Bound, Verdict
from tests.chaos.test_judge import WINDOW, failed, record
from tests.edge.nginx import NGINX, WHY_SKIPPED


def verdict(*, replay_accepted: bool) -> Verdict:
    records = [record(), failed(104), record(nonce="another", sent=104.9, answered=105.0)]
    if replay_accepted:
        records.append(record(kind="replay", sent=106.0))
    return Verdict(
        records,
        [judge.effect_of(WINDOW, records, ["customer"])],
        [
            Bound("replays accepted", judge.accepted_replays(records), "of 1 sent"),
            Bound("answers of 500", []),
        ],
        [("verify_audit_log: The audit log is intact.", "holds")],
        Counter({"worker-1": 1}),
        [("network to a web server cut", "a network namespace needs root")],
    )


def test_a_broken_bound_is_told_with_where_it_broke() -> None:
    assert "BROKEN" not in report.summary(verdict(replay_accepted=False))
    told = report.summary(verdict(replay_accepted=True))
    assert "BROKEN replays accepted: 1 (of 1 sent)" in told
    assert "nonce once: let in at" in told


def test_the_report_has_the_faults_the_codes_and_what_was_not_tried() -> None:
    text = report.markdown(verdict(replay_accepted=False), fallback_from=float("inf"), took=480.0)
    assert "**Every bound holds.**" in text
    assert "| Redis killed | 3 s | 3 | 1 × REPLAY_CHECK_UNAVAILABLE | strict 1.0 s |" in text
    assert "| `REPLAY_CHECK_UNAVAILABLE` | 1 | 0 |" in text
    assert "**Not tried here: network to a web server cut. a network namespace needs root**" in text
    assert "worker-1 1×" in text


@pytest.mark.parametrize(("replay_accepted", "exit_code"), [(False, 0), (True, 1)])
def test_the_exit_code_is_the_verdict(
    replay_accepted: bool, exit_code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if NGINX is None:
        pytest.skip(WHY_SKIPPED)
    written = tmp_path / "chaos.md"
    monkeypatch.setattr(Run, "carry_out", lambda run: verdict(replay_accepted=replay_accepted))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["chaos", "--report", str(written)])
    assert command.main() == exit_code
    assert ("**A bound is broken.**" in written.read_text()) is replay_accepted
