"""The load: processes of clients that sign, write down what came back, and send it again.

Each thread is one client. Between its own requests it sends again some that were accepted, recent and old
ones alike; when the runner asks for it (around each fault) many at once.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import secrets
import ssl
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import httpx2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.chaos.operations import Call, Customer, leave
from benchmarks.chaos.records import Log, Record
from tests.support.signing import REQUIRED, REQUIRED_WITH_BODY, SignedRequest, Signer

PACE_SECONDS = 0.12
ANSWER_SECONDS = 12.0
REPLAY_SHARE = 0.5
STORM = 25
REMEMBERED = 4000
ASKED_AT_MOST = 15_000
"""By each client: more than half an hour's; what it sends again comes on top."""
FAREWELLS = 120
AFTER_LEAVING = 6

_spawn = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signs; `private_key` in hexadecimal, so that it can be handed to a process."""

    client_id: str
    profile: str
    private_key: str = field(repr=False)

    @classmethod
    def new(cls, client_id: str, profile: str) -> Identity:
        return cls(client_id, profile, Ed25519PrivateKey.generate().private_bytes_raw().hex())

    def signer(self) -> Signer:
        return Signer(self.client_id, Ed25519PrivateKey.from_private_bytes(bytes.fromhex(self.private_key)))


class Signals:
    """What runner and clients tell each other across processes.

    Args:
        count: of all clients.
    """

    def __init__(self, count: int) -> None:
        self.stop = _spawn.Event()
        self.storms = _spawn.Value("i", 0)
        self.last_accepted = _spawn.Array("d", count, lock=False)
        self.last_failed = _spawn.Array("d", count, lock=False)

    def is_over(self) -> bool:
        """The runner said so, or it was killed."""
        runner = multiprocessing.parent_process()
        return self.stop.is_set() or (runner is not None and not runner.is_alive())


@dataclass(frozen=True, slots=True)
class Plan:
    """What one process does: `first` is the place of its first client in the signals."""

    origin: str
    certificate: str
    folder: str
    first: int
    customers: list[Identity]
    leavers: list[Identity]


def start_process(plan: Plan, signals: Signals) -> SpawnProcess:
    process = _spawn.Process(target=_run, args=(plan, signals), daemon=True)
    process.start()
    return process


def _run(plan: Plan, signals: Signals) -> None:
    threads = [
        threading.Thread(target=_Worker(plan, signals, who, plan.first + place).work)
        for place, who in enumerate(plan.customers)
    ]
    threads.append(threading.Thread(target=_Leaving(plan, signals).work))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class _Sender:
    """Signs, sends once, and writes down."""

    def __init__(self, plan: Plan, who: Identity, log: Log) -> None:
        self.who = who
        self._signer = who.signer()
        self._origin = plan.origin
        self._log = log
        trust = ssl.create_default_context(cafile=plan.certificate)
        self._http = httpx2.Client(verify=trust, trust_env=False, timeout=ANSWER_SECONDS)

    def prepare(self, call: Call) -> tuple[SignedRequest, str]:
        """The request and its nonce."""
        url, headers = self._origin + call.path, {"Content-Type": call.content_type} if call.body else {}
        if not call.signed:
            return SignedRequest(call.method, url, headers, call.body or b""), ""
        nonce = secrets.token_urlsafe(18)
        covered = REQUIRED if call.body is None else REQUIRED_WITH_BODY
        if self.who.profile == "strict":
            covered = (*covered, "@authority")
        signed = self._signer.sign(
            call.method, url, content=call.body, headers=headers, covered=covered, nonce=nonce, tag="datafold"
        )
        return signed, nonce

    def send(
        self, call: Call, signed: SignedRequest, nonce: str, customer: Customer | None = None, **marks: Any
    ) -> Record:
        """Send it; what the customer learns from the answer goes into the record."""
        request_id = secrets.token_hex(16)
        sent = time.time()
        status, code, data = self._exchange(signed, request_id)
        record = Record(
            client=self.who.client_id,
            profile=self.who.profile,
            kind=marks.pop("kind", call.kind),
            request={"method": signed.method, "url": signed.url, "headers": signed.headers},
            nonce=nonce,
            sent=sent,
            answered=time.time(),
            status=status,
            code=code,
            request_id=request_id,
            facts={**call.facts, **(customer.learn(call, status, data) if customer else {})},
            **marks,
        )
        self._log.write(record)
        return record

    def _exchange(self, signed: SignedRequest, request_id: str) -> tuple[int, str, dict[str, Any]]:
        headers = {**signed.headers, "X-Request-ID": request_id}
        try:
            answer = self._http.request(
                signed.method, signed.url, headers=headers, content=signed.content or None
            )
        except httpx2.HTTPError as error:
            return 0, type(error).__name__, {}
        try:
            body = answer.json()
        except json.JSONDecodeError:
            return answer.status_code, f"HTTP {answer.status_code}", {}
        return answer.status_code, (body["error"] or {}).get("code", ""), body["data"] or {}

    def close(self) -> None:
        self._http.close()
        self._log.close()


class _Worker:
    """A client that stays."""

    def __init__(self, plan: Plan, signals: Signals, who: Identity, place: int) -> None:
        self._signals, self._place = signals, place
        self._dice = random.Random(who.client_id)
        self._customer = Customer(who.client_id, self._dice)
        self._sender = _Sender(plan, who, Log(Path(plan.folder) / f"{who.client_id}.jsonl"))
        self._accepted: deque[tuple[Call, SignedRequest, str]] = deque(maxlen=REMEMBERED)
        self._storms = 0

    def work(self) -> None:
        for _ in range(ASKED_AT_MOST):
            if self._signals.is_over():
                break
            began = time.monotonic()
            self._ask()
            if self._signals.storms.value != self._storms:
                self._storms = self._signals.storms.value
                self._send_again(STORM)
            elif self._dice.random() < REPLAY_SHARE:
                self._send_again(1)
            time.sleep(max(0.0, PACE_SECONDS - (time.monotonic() - began)))
        self._send_again(STORM)
        self._sender.close()

    def _ask(self) -> None:
        call = self._customer.next_call()
        signed, nonce = self._sender.prepare(call)
        record = self._sender.send(call, signed, nonce, self._customer)
        if record.accepted:
            self._signals.last_accepted[self._place] = record.answered
            if nonce:
                self._accepted.append((call, signed, nonce))
        else:
            self._signals.last_failed[self._place] = record.answered

    def _send_again(self, count: int) -> None:
        """Half of them the newest ones, half of them any."""
        captured = list(self._accepted)
        newest = captured[-count:]
        for number in range(min(count, len(captured))):
            pool = newest if number % 2 or self._dice.random() < 0.5 else captured
            call, signed, nonce = self._dice.choice(pool)
            self._sender.send(call, signed, nonce, kind="replay")


class _Leaving:
    """At each storm one client revokes its own key; from the acknowledgement on it must be refused."""

    def __init__(self, plan: Plan, signals: Signals) -> None:
        self._plan, self._signals = plan, signals
        self._left = deque(plan.leavers)
        self._storms = 0

    def work(self) -> None:
        while not self._signals.is_over():
            time.sleep(0.05)
            if self._signals.storms.value != self._storms and self._left:
                self._storms = self._signals.storms.value
                self._leave(self._left.popleft())

    def _leave(self, who: Identity) -> None:
        sender = _Sender(self._plan, who, Log(Path(self._plan.folder) / f"{who.client_id}.jsonl"))
        me, farewell = Call("me", "GET", "/api/v1/auth/me"), leave(who.client_id)
        for _ in range(4):  # both web servers know it now
            sender.send(me, *sender.prepare(me), kind="leaver")
        for _ in range(FAREWELLS):
            if self._signals.is_over():
                break
            if sender.send(farewell, *sender.prepare(farewell)).accepted:
                self._try_to_go_on(sender, me)
                break
            time.sleep(0.5)
        sender.close()

    def _try_to_go_on(self, sender: _Sender, me: Call) -> None:
        for _ in range(AFTER_LEAVING):
            sender.send(me, *sender.prepare(me), kind="leaver", forbidden=True)
            time.sleep(0.2)
