"""What stands on the wire, byte by byte: framing, header tricks, proxies that nobody trusts."""

from __future__ import annotations

import json

import pytest

from tests.support.server import DataFoldServer
from tests.support.signing import SignedRequest, Signer
from tests.support.wire import Caller, RawAnswer, raw_connection

pytestmark = pytest.mark.one_stack

LIMIT = 1_048_576


def head(request: SignedRequest, server: DataFoldServer, **replaced: str) -> str:
    """The request's head as text; `replaced` by lower-case name with underscores, "" leaves a field out."""
    fields = {
        "Host": f"127.0.0.1:{server.port}",
        "Connection": "close",
        "Content-Length": str(len(request.content)),
        **request.headers,
    }
    for name, value in replaced.items():
        spelled = next((known for known in fields if known.lower() == name.replace("_", "-")), name)
        fields[spelled] = value
    target = request.url.removeprefix(server.base_url)
    lines = [
        f"{request.method} {target} HTTP/1.1",
        *(f"{name}: {value}" for name, value in fields.items() if value),
    ]
    return "\r\n".join(lines) + "\r\n\r\n"


def exchange(server: DataFoldServer, data: str | bytes) -> RawAnswer:
    with raw_connection(server.port) as connection:
        connection.send(data)
        return connection.read_answer()


def test_a_chunked_body_is_refused_and_never_taken_for_an_empty_one(
    datafold_server: DataFoldServer, caller: Caller, active_signer: Signer
) -> None:
    """Signed as if there were no body: an engine that saw an empty one would let the chunks in."""
    signed = caller.prepare(active_signer, "POST", "/api/v1/auth/test")
    smuggled = f"POST /api/v1/auth/test HTTP/1.1\r\nHost: 127.0.0.1:{datafold_server.port}\r\n\r\n"
    body = json.dumps({"evil": True}) + smuggled
    data = head(signed, datafold_server, content_length="", connection="keep-alive").replace(
        "\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with raw_connection(datafold_server.port) as connection:
        connection.send(data + f"{len(body):x}\r\n{body}\r\n0\r\n\r\n")
        answer = connection.read_answer()
        assert answer.status == 411
        assert answer.error_code() == "LENGTH_REQUIRED"
        # Whether the connection stays open or not: nothing of the chunk was taken for a request.
        connection.send(
            f"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1:{datafold_server.port}\r\nConnection: close\r\n\r\n"
        )
        following = connection.read_answer()
        assert following.status in (0, 200)


def test_a_body_over_the_limit_is_refused_before_it_is_read(datafold_server: DataFoldServer) -> None:
    announced = (
        f"POST /api/v1/crypto/keys/register HTTP/1.1\r\nHost: 127.0.0.1:{datafold_server.port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {LIMIT + 1}\r\n\r\n"
    )
    answer = exchange(datafold_server, announced)  # not one byte of the body is sent
    assert answer.status == 413
    assert answer.error_code() == "BODY_TOO_LARGE"


@pytest.mark.parametrize("length", ["99999999999999999999999999", "-1", "+5", "1_0", "0x10", "5, 5"])
def test_a_length_that_is_none_is_refused(datafold_server: DataFoldServer, length: str) -> None:
    answer = exchange(
        datafold_server,
        f"POST /api/v1/crypto/keys/register HTTP/1.1\r\nHost: 127.0.0.1:{datafold_server.port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n",
    )
    assert answer.status in (400, 413)


def test_two_lengths_are_refused(datafold_server: DataFoldServer) -> None:
    answer = exchange(
        datafold_server,
        f"POST /api/v1/crypto/keys/register HTTP/1.1\r\nHost: 127.0.0.1:{datafold_server.port}\r\n"
        "Content-Length: 2\r\nContent-Length: 3\r\nConnection: close\r\n\r\n{}x",
    )
    assert answer.status == 400


def test_length_and_chunks_together_are_refused(datafold_server: DataFoldServer) -> None:
    answer = exchange(
        datafold_server,
        f"POST /api/v1/crypto/keys/register HTTP/1.1\r\nHost: 127.0.0.1:{datafold_server.port}\r\n"
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
    )
    assert answer.status in (400, 411)


@pytest.mark.parametrize("name", ["Signature_Input", "Signature_input", "SIGNATURE_INPUT"])
def test_a_field_with_an_underscore_is_not_its_namesake(
    datafold_server: DataFoldServer, caller: Caller, active_signer: Signer, name: str
) -> None:
    """It neither stands in for the missing field nor spoils the real one."""
    signed = caller.prepare(active_signer, "GET", "/api/v1/auth/me")
    value = signed.headers["Signature-Input"]
    added = head(signed, datafold_server).replace("\r\n\r\n", f"\r\n{name}: nonsense\r\n\r\n")
    assert exchange(datafold_server, added).status == 200

    again = caller.prepare(active_signer, "GET", "/api/v1/auth/me")
    moved = head(again, datafold_server, signature_input="").replace(
        "\r\n\r\n", f"\r\n{name}: {value}\r\n\r\n"
    )
    assert exchange(datafold_server, moved).status in (400, 401)


def test_forwarding_fields_of_a_stranger_change_nothing(
    datafold_server: DataFoldServer, caller: Caller, active_signer: Signer
) -> None:
    for forged in (
        "X-Forwarded-Proto: https",
        "X-Forwarded-Ssl: on",
        "X-Forwarded-Protocol: ssl",
        "X-Forwarded-Host: evil.example",
        "Forwarded: proto=https;host=evil.example",
        "SCRIPT_NAME: /evil",
    ):
        signed = caller.prepare(active_signer, "GET", "/api/v1/auth/me")
        data = head(signed, datafold_server).replace("\r\n\r\n", f"\r\n{forged}\r\n\r\n")
        assert exchange(datafold_server, data).status == 200, forged

    elsewhere = Signer(active_signer.key_id, active_signer.private_key).sign(
        "GET", datafold_server.base_url.replace("http:", "https:") + "/api/v1/auth/me"
    )
    elsewhere.url = datafold_server.base_url + "/api/v1/auth/me"
    data = head(elsewhere, datafold_server).replace("\r\n\r\n", "\r\nX-Forwarded-Proto: https\r\n\r\n")
    answer = exchange(datafold_server, data)
    assert answer.status == 401
    assert answer.error_code() == "SIGNATURE_VERIFICATION_FAILED"


@pytest.mark.parametrize(
    "target",
    [
        "/api/v1/auth/me?",
        "/api/v1/auth/me?a=%2f&b=%2F&b=+&=&c",
        "/api/v1/auth/%6De",
        "/api/v1/auth/%6de",
        "/api/v1/auth/me/",
    ],
)
def test_the_target_is_verified_as_it_stood_on_the_wire(
    datafold_server: DataFoldServer, caller: Caller, active_signer: Signer, target: str
) -> None:
    signed = caller.prepare(active_signer, "GET", target)
    answer = exchange(datafold_server, head(signed, datafold_server))
    assert answer.status == 200, answer.content


def test_a_target_spelled_otherwise_is_another_target(
    datafold_server: DataFoldServer, caller: Caller, active_signer: Signer
) -> None:
    signed = caller.prepare(active_signer, "GET", "/api/v1/auth/me")
    signed.url = signed.url.replace("auth/me", "auth/%6De")
    answer = exchange(datafold_server, head(signed, datafold_server))
    assert answer.status == 401
    assert answer.error_code() == "SIGNATURE_VERIFICATION_FAILED"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "127.0.0.1:99999", "a b"])
def test_a_host_that_is_not_ours_is_refused(
    datafold_server: DataFoldServer, caller: Caller, active_signer: Signer, host: str
) -> None:
    signed = caller.prepare(active_signer, "GET", "/api/v1/auth/me")
    answer = exchange(datafold_server, head(signed, datafold_server, host=host or " "))
    assert answer.status in (400, 401)


def test_heads_over_the_limits_are_refused(datafold_server: DataFoldServer) -> None:
    host = f"Host: 127.0.0.1:{datafold_server.port}\r\n"
    assert exchange(datafold_server, f"GET /?{'a' * 9000} HTTP/1.1\r\n{host}\r\n").status == 414
    assert exchange(datafold_server, f"GET / HTTP/1.1\r\n{host}X-B: {'a' * 9000}\r\n\r\n").status == 431
    many = "".join(f"X-{number}: 1\r\n" for number in range(200))
    assert exchange(datafold_server, f"GET / HTTP/1.1\r\n{host}{many}\r\n").status == 431


def test_the_server_does_not_tell_its_version(caller: Caller) -> None:
    response = caller.http.get("/health/live")
    assert not any(character.isdigit() for character in response.headers.get("Server", ""))
    assert "X-Powered-By" not in response.headers


def test_metrics_count_over_all_workers(caller: Caller, active_signer: Signer) -> None:
    def verified() -> float:
        text = caller.http.get("/metrics").text
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in text.splitlines()
            if line.startswith("datafold_signatures_verified_total")
        )

    before = verified()
    for _ in range(6):
        fresh = Caller(caller.base_url)  # a connection of its own, so that any worker may take it
        assert fresh.signed(active_signer, "GET", "/api/v1/auth/me").status_code == 200
        fresh.close()
    assert verified() == before + 6
