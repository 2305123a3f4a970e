"""Limits per address and per client: what the caller is told, across processes, and whom it costs."""

from __future__ import annotations

import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from project.proxies import parse_network, plain_address
from project.ratelimit import parse_rate
from tests.support.server import DataFoldServer
from tests.support.signing import SignedRequest, Signer
from tests.support.wire import Caller, assert_granted, assert_refused

LetIn = Callable[[DataFoldServer, str], Signer]
FIELD = re.compile(r'"(?P<policy>[a-z-]+)";(?P<first>[qr])=(?P<number>\d+);(?P<second>[wt])=(?P<seconds>\d+)')


@pytest.fixture(scope="module")
def strict_server(start_server: Callable[..., DataFoldServer]) -> DataFoldServer:
    """It listens on both families where there are two: IPv4's addresses then arrive as ::ffff:127.0.0.1."""
    return start_server(
        "limits",
        HOST="::" if socket.has_dualstack_ipv6() else "0.0.0.0",
        DATAFOLD_ANONYMOUS_RATE="20/hour",
        DATAFOLD_REGISTRATION_RATE="8/hour",
        DATAFOLD_VERIFY_RATE="5/hour",
        DATAFOLD_FAILURE_RATE="10/hour",
        DATAFOLD_TRUSTED_PROXIES="127.0.0.1/32",
    )


class From(Caller):
    """A caller from an address of its own, as the trusted proxy before the server reports it."""

    def __init__(self, server: DataFoldServer, address: str) -> None:
        super().__init__(server.base_url)
        self.http.headers["X-Forwarded-For"] = address


@pytest.fixture
def come_from(strict_server: DataFoldServer) -> Iterator[Callable[[str], From]]:
    callers: list[From] = []

    def come(address: str) -> From:
        callers.append(From(strict_server, address))
        return callers[-1]

    yield come
    for caller in callers:
        caller.close()


def quota(response: httpx2.Response) -> tuple[str, int, int, int, int]:
    """(policy, limit, window, remaining, reset) as the two fields say."""
    policy, state = (
        FIELD.fullmatch(response.headers["RateLimit-Policy"]),
        FIELD.fullmatch(response.headers["RateLimit"]),
    )
    assert policy is not None
    assert state is not None
    assert policy["policy"] == state["policy"]
    assert (policy["first"], policy["second"], state["first"], state["second"]) == ("q", "w", "r", "t")
    return (
        policy["policy"],
        int(policy["number"]),
        int(policy["seconds"]),
        int(state["number"]),
        int(state["seconds"]),
    )


def test_anonymous_calls_are_counted_over_all_processes(come_from: Callable[[str], From]) -> None:
    caller = come_from("203.0.113.1")
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: caller.http.get("/api/v1/system/status"), range(30)))
    assert Counter(answer.status_code for answer in answers) == {200: 20, 429: 10}
    assert sorted(quota(answer)[3] for answer in answers if answer.status_code == 200) == list(range(20))
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert_refused(refused, 429, "RATE_LIMITED")
    assert quota(refused)[:4] == ("anonymous", 20, 3600, 0)
    assert 0 < int(refused.headers["Retry-After"]) <= 3601
    assert abs(int(refused.headers["Retry-After"]) - quota(refused)[4]) <= 1
    assert_granted(come_from("203.0.113.2").http.get("/api/v1/system/status"))


def test_an_ipv6_network_is_one_caller(come_from: Callable[[str], From]) -> None:
    answers = [come_from(f"2001:db8::{host:x}").http.get("/api/v1/auth/status") for host in range(1, 24)]
    assert [answer.status_code for answer in answers] == [200] * 20 + [429] * 3
    assert come_from("2001:db8:0:1::1").http.get("/api/v1/auth/status").status_code == 200


def test_registration_and_verification_have_limits_of_their_own(come_from: Callable[[str], From]) -> None:
    caller = come_from("203.0.113.3")
    answers = [caller.register(Signer(f"limited-{number}")) for number in range(9)]
    assert [answer.status_code for answer in answers] == [200] * 8 + [429]
    assert quota(answers[0])[0] == "registration"
    wish = {"client_id": "limited-0", "message": "x", "signature": "00" * 64}
    answers = [caller.http.post("/api/v1/crypto/signatures/verify", json=wish) for _ in range(6)]
    assert [answer.status_code for answer in answers][-2:] != [429, 429]
    assert_refused(answers[-1], 429, "RATE_LIMITED")
    assert quota(answers[-1])[0] == "verification"


def test_a_signed_call_says_how_much_is_left(
    strict_server: DataFoldServer, let_in: LetIn, come_from: Callable[[str], From]
) -> None:
    signer = let_in(strict_server, "counted")
    caller = come_from("203.0.113.4")
    first, second = (quota(caller.signed(signer, "GET", "/api/v1/auth/me")) for _ in range(2))
    assert first[:3] == ("client", 6000, 60)
    assert 0 < first[4] <= 61
    assert second[3] in (first[3] - 1, 5999)


def test_a_client_at_its_limit_is_refused_everywhere_and_costs_the_others_nothing(
    strict_server: DataFoldServer, let_in: LetIn, come_from: Callable[[str], From]
) -> None:
    greedy, other = let_in(strict_server, "greedy"), let_in(strict_server, "other")
    code = "from accounts.models import Client; from keys.epochs import advance; from django.db import transaction\n"
    code += f"c = Client.objects.get(client_id={greedy.key_id!r}); c.rate_limit = 5; c.save()\n"
    code += "with transaction.atomic(): advance(c)"
    strict_server.manage("shell", "-c", code)
    caller, neighbour = come_from("203.0.113.5"), come_from("203.0.113.6")
    before = quota(neighbour.signed(other, "GET", "/api/v1/auth/me"))
    if time.time() % 60 > 50:
        time.sleep(60 - time.time() % 60)  # five requests must fall into one window
    answers = [caller.signed(greedy, "GET", "/api/v1/auth/me") for _ in range(20)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 15
    assert quota(answers[-1])[:4] == ("client", 5, 60, 0)
    assert assert_refused(answers[-1], 429, "RATE_LIMITED")["details"]["limit"] == 5
    answer = neighbour.signed(other, "GET", "/api/v1/auth/me")
    assert_granted(answer)
    assert quota(answer)[3] in (before[3] - 1, before[1] - 1)  # its own call alone, or a new minute


def test_wrong_signatures_are_refused_before_any_cryptography(
    strict_server: DataFoldServer, let_in: LetIn, come_from: Callable[[str], From]
) -> None:
    victim = let_in(strict_server, "victim")
    neighbour = let_in(strict_server, "neighbour")
    attacker, far = come_from("203.0.113.7"), come_from("203.0.113.8")
    for _ in range(6):  # on every worker
        assert_granted(attacker.signed(neighbour, "GET", "/api/v1/auth/me"))
    forger = Signer(victim.key_id)
    with ThreadPoolExecutor(4) as pool:
        codes = Counter(
            attacker_answer.json()["error"]["code"]
            for attacker_answer in pool.map(
                lambda _: attacker.signed(forger, "GET", "/api/v1/auth/me"), range(60)
            )
        )
    assert set(codes) == {"SIGNATURE_VERIFICATION_FAILED", "RATE_LIMITED"}
    assert (
        10 <= codes["SIGNATURE_VERIFICATION_FAILED"] <= 10 + 8
    )  # 2 processes with 4 threads may be under way
    refused = attacker.signed(forger, "GET", "/api/v1/auth/me")
    assert_refused(refused, 429, "RATE_LIMITED")
    assert quota(refused)[0] == "failures"
    assert int(refused.headers["Retry-After"]) > 0
    assert_granted(far.signed(victim, "GET", "/api/v1/auth/me"))
    assert_granted(attacker.signed(neighbour, "GET", "/api/v1/auth/me"))


def test_whatever_is_wrong_with_a_signature_counts(
    strict_server: DataFoldServer, let_in: LetIn, come_from: Callable[[str], From]
) -> None:
    signer, neighbour = let_in(strict_server, "careless"), let_in(strict_server, "careful")

    def prepared(**signing: Any) -> SignedRequest:
        return caller.prepare(signer, "GET", "/api/v1/auth/me", **signing)

    def tampered() -> SignedRequest:
        signed = caller.prepare(signer, "POST", "/api/v1/auth/test", {"a": 1})
        return replace(signed, content=b"{}")

    def malformed() -> SignedRequest:
        signed = prepared()
        return replace(signed, headers={**signed.headers, "Signature-Input": "sig1=("})

    long_ago = datetime.now(UTC) - timedelta(hours=1)
    wrong: dict[str, Callable[[], SignedRequest]] = {
        "SIGNATURE_EXPIRED": lambda: prepared(created=long_ago),
        "COMPONENT_NOT_COVERED": lambda: prepared(covered=["@method"]),
        "NONCE_MISSING": lambda: prepared(nonce=""),
        "DIGEST_MISMATCH": tampered,
        "SIGNATURE_MALFORMED": malformed,
        "NONCE_REUSED": lambda: spent,
    }
    stranger = Signer("never-met")  # refused before the database is asked who that is
    wrong["TIMESTAMP_IN_FUTURE"] = lambda: caller.prepare(
        stranger, "GET", "/api/v1/auth/me", created=datetime.now(UTC) + timedelta(hours=1)
    )
    for number, (code, make) in enumerate(wrong.items(), start=1):
        caller = come_from(f"198.51.100.{number}")
        spent = prepared()
        if code == "NONCE_REUSED":
            assert_granted(come_from("198.51.100.99").send(spent))
        codes = Counter(caller.send(make()).json()["error"]["code"] for _ in range(13))
        assert codes == {code: codes[code], "RATE_LIMITED": 13 - codes[code]}
        assert 10 <= codes[code] <= 11  # the other process hears of it with its own next one
        assert_granted(come_from("198.51.100.98").signed(neighbour, "GET", "/api/v1/auth/me"))


def test_unsigned_calls_that_need_a_signature_are_counted(come_from: Callable[[str], From]) -> None:
    caller = come_from("203.0.113.9")
    paths = ["/api/v1/auth/me", "/api/v1/operators/clients"]  # a client's call, an operator's
    answers = [caller.http.get(paths[number % 2]) for number in range(24)]
    assert [answer.status_code for answer in answers] == [401] * 20 + [429] * 4
    assert quota(answers[0])[:4] == ("anonymous", 20, 3600, 19)
    assert_refused(answers[-1], 429, "RATE_LIMITED")
    assert int(answers[-1].headers["Retry-After"]) > 0


@pytest.mark.parametrize("rate", ["", "60", "x/minute", "60/fortnight", "-1/minute", "1.5/second"])
def test_a_rate_that_is_none_is_refused(rate: str) -> None:
    with pytest.raises(ValueError, match="is not a rate"):
        parse_rate(rate)


def test_an_ipv4_address_is_one_in_whatever_clothes() -> None:
    assert plain_address("::ffff:10.0.0.1") == plain_address("::FFFF:A00:1") == "10.0.0.1"
    assert [plain_address(each) for each in ("10.0.0.1", "::1", "no:address", "")] == [
        *("10.0.0.1", "::1", "no:address", "")
    ]
    assert str(parse_network("::ffff:10.0.0.0/104")) == "10.0.0.0/8"
    assert str(parse_network("2001:db8::/32")) == "2001:db8::/32"
    assert str(parse_network("::/0")) == "::/0"


def test_rates() -> None:
    assert parse_rate("60/minute") == (60, 60)
    assert parse_rate("5/hour") == (5, 3600)
