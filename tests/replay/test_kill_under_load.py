"""A real Redis is killed and restarted while three processes sign, spend and replay."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keys.errors import ReplayCheckUnavailable
from keys.replay import Outcome, ReplayStore, Spend
from keys.replay.base import CLOCK_MARGIN
from keys.replay.redis import RedisReplayStore
from tests.replay.redis_server import RedisServer, spend_arguments

SKEW = 2
DOWN_SECONDS = 0.5


class Attacker:
    """Signs as a client would, and sends everything that was accepted again and again.

    `accepted`: (moment, nonce) of every signature that was let in.
    """

    def __init__(self, store: ReplayStore, log: Path) -> None:
        self._store = store
        self._log = log.open("w", buffering=1)
        self._captured: list[dict[str, Any]] = []

    def run(self, until: float) -> None:
        while time.time() < until:
            signed = spend_arguments(clock_skew=SKEW)
            # A quarter of the clients' clocks are as far ahead as is allowed.
            if random.random() < 0.25:
                signed["created"] += SKEW
            self.send(signed)
            for captured in random.sample(self._captured, min(3, len(self._captured))):
                self.send(captured)
            time.sleep(
                0.01
            )  # some thousand a second of all together, and not both processors for seven seconds
        for captured in self._captured:
            self.send(captured)

    def send(self, signed: dict[str, Any]) -> None:
        """As `keys.verification` does: a client that the store forgot is announced, then asked for again."""
        spend = Spend(**{**signed, "now": time.time()})
        try:
            outcome = self._store.spend(spend).outcome
            if outcome in (Outcome.UNKNOWN, Outcome.STALE):
                self._store.recall(spend.client_id, 1)
                outcome = self._store.spend(Spend(**{**signed, "now": spend.now, "epoch": None})).outcome
        except ReplayCheckUnavailable:
            return
        if outcome is Outcome.FRESH:
            self._captured.append(signed)
            self._log.write(json.dumps([time.time(), signed["nonce"]]) + "\n")


@pytest.mark.parametrize("keeps", [False, True], ids=["restarted empty", "restarted with its data"])
def test_no_replay_is_accepted_when_redis_is_killed_under_load(
    start_redis: Callable[..., RedisServer],
    keeps: bool,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    server = start_redis(keeps=keeps)
    RedisReplayStore(server.url, timeout=1).announce_new("client", 1)
    until = time.time() + 7
    workers = [_fork(server.url, until, tmp_path / f"worker{number}") for number in range(3)]
    time.sleep(1.5)
    killed_at = time.time()
    server.kill()
    time.sleep(DOWN_SECONDS)
    server.start()
    answered_at = time.time()
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in workers] == [0, 0, 0]

    accepted = [
        json.loads(line)
        for path in sorted(tmp_path.glob("worker*"))
        for line in path.read_text().splitlines()
    ]
    twice = {nonce: count for nonce, count in Counter(nonce for _, nonce in accepted).items() if count > 1}
    assert twice == {}
    before = sum(moment < killed_at for moment, _ in accepted)
    after = [moment for moment, _ in accepted if moment > answered_at]
    assert before > 100
    assert after, "the store did not recover"
    recovery = min(after) - answered_at
    record_property("seconds_to_recover", recovery)
    with capsys.disabled():
        print(
            f"\n  {len(accepted)} accepted, 0 replays; Redis was away for {answered_at - killed_at:.2f} s; "
            f"first signature accepted {recovery:.2f} s after it answered again (clock skew {SKEW} s)"
        )
    # Clients with a clock that is ahead are in earlier; everybody is after the skew.
    assert recovery < SKEW + CLOCK_MARGIN + 1.5


def _fork(url: str, until: float, log: Path) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        store = RedisReplayStore(url, timeout=1)
        threads = [
            threading.Thread(target=Attacker(store, Path(f"{log}-{number}")).run, args=(until,))
            for number in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        os._exit(0)
    finally:
        os._exit(1)
