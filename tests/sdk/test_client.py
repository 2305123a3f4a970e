"""Both clients over a real local server."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from email.utils import formatdate
from typing import Any

import pytest
from datafold_sdk import (
    APIError,
    BadRequestError,
    ClockError,
    ConfigurationError,
    ConflictError,
    Credentials,
    DataFoldClient,
    InvalidKeyError,
    InvalidResponseError,
    KeyStateError,
    NonceReusedError,
    NotFoundError,
    PermissionDeniedError,
    PrivateKey,
    RateLimitedError,
    RequestTimeoutError,
    SchemaIncompatibleError,
    ServerError,
    ServiceUnavailableError,
    SignatureError,
    SignatureMismatchError,
    SigningMode,
    TransportError,
    ValidationError,
    create_enhanced_http_client,
    create_http_client,
    generate_key_pair,
)

from tests.sdk.server import Received, Reply, Server, refusal, success


async def test_the_seed_applications_calls_work_as_they_stand(server: Server) -> None:
    private_key, public_key = generate_key_pair()
    client = create_enhanced_http_client(
        base_url=server.url,
        signing_mode=SigningMode.AUTO,
        enable_signature_cache=True,
        signature_cache_ttl=300,
        max_cache_size=1000,
    )
    client.configure_signing(
        {
            "algorithm": "ed25519",
            "key_id": "fastapi-1",
            "private_key": bytes.fromhex(private_key.hex()),
            "profile": "standard",
        }
    )
    server.answer = lambda _: success([{"name": "user_events"}])
    assert (await client.get("/api/schemas")).get("data", []) == [{"name": "user_events"}]
    assert (await client.post("/api/schemas", json={"name": "x", "fields": []}))["success"] is True
    await client.delete("/api/schemas/x")
    await client.put("/api/x", json={})
    await client.patch("/api/x", json={})
    await client.get("/api/system/status")
    await client.close()
    key = PrivateKey.load(private_key)
    assert key.public_text == public_key.hex()
    for received in server.received:
        received.verify({"fastapi-1": key})
    assert [r.method for r in server.received] == ["GET", "POST", "DELETE", "PUT", "PATCH", "GET"]
    assert len({r.verify({"fastapi-1": key}).nonce for r in server.received}) == 6


def test_one_async_client_serves_several_event_loops(server: Server) -> None:
    client = create_enhanced_http_client(base_url=server.url)
    for _ in range(3):
        assert asyncio.run(client.get("/api/schemas"))["success"] is True


async def test_the_async_client_is_a_context_manager(server: Server) -> None:
    async with create_enhanced_http_client(base_url=server.url) as client:
        assert (await client.get("/x"))["success"] is True
        assert await asyncio.gather(*(client.get(f"/{n}") for n in range(5)))


def test_the_body_is_covered_byte_for_byte(server: Server, client: DataFoldClient, key: PrivateKey) -> None:
    client.post("/api/schemas", json={"ü": "☃", "n": 1})
    received = server.received[0]
    assert received.json == {"ü": "☃", "n": 1}
    assert received.verify({"app-1": key}).body == received.body


def test_a_query_is_covered(server: Server, client: DataFoldClient, key: PrivateKey) -> None:
    client.get("/api/schemas", params={"q": "a b&c", "tag": ["x", "y"]})
    covered = server.received[0].verify({"app-1": key}).covered_components
    assert covered['"@target-uri"'] == f"{server.url}/api/schemas?q=a+b%26c&tag=x&tag=y"


@pytest.mark.parametrize(
    ("mode", "configured", "sign", "signed"),
    [
        (SigningMode.AUTO, True, None, True),
        (SigningMode.AUTO, False, None, False),
        (SigningMode.AUTO, True, False, False),
        (SigningMode.ALWAYS, True, None, True),
        (SigningMode.NEVER, True, None, False),
        (SigningMode.MANUAL, True, None, False),
        (SigningMode.MANUAL, True, True, True),
        ("auto", True, None, True),
    ],
)
def test_the_mode_decides_what_is_signed(
    server: Server,
    credentials: Credentials,
    mode: SigningMode,
    configured: bool,
    sign: bool | None,
    signed: bool,
) -> None:
    with create_http_client(base_url=server.url, signing_mode=mode) as client:
        if configured:
            client.configure_signing(credentials)
        client.get("/x", sign=sign)
    assert server.received[0].signed is signed


@pytest.mark.parametrize(
    ("mode", "sign"), [(SigningMode.REQUIRED, None), (SigningMode.AUTO, True), (SigningMode.DISABLED, True)]
)
def test_what_must_be_signed_is_never_sent_unsigned(
    server: Server, mode: SigningMode, sign: bool | None
) -> None:
    with (
        create_http_client(base_url=server.url, signing_mode=mode) as client,
        pytest.raises(ConfigurationError),
    ):
        client.get("/x", sign=sign)
    assert server.received == []


@pytest.mark.parametrize(
    ("config", "error"),
    [
        ({}, ConfigurationError),
        ({"key_id": "a"}, ConfigurationError),
        ({"key_id": "a", "private_key": b"x" * 32, "colour": "red"}, ConfigurationError),
        ({"key_id": "", "private_key": b"x" * 32}, ConfigurationError),
        ({"key_id": "ü", "private_key": b"x" * 32}, ConfigurationError),
        ({"key_id": "a", "private_key": b"x" * 32, "profile": "lax"}, ConfigurationError),
        ({"key_id": "a", "private_key": b"x" * 31}, InvalidKeyError),
        ({"key_id": "a", "private_key": b"x" * 32, "algorithm": "rsa-pss-sha512"}, InvalidKeyError),
    ],
)
def test_a_broken_configuration_is_refused_at_once(
    client: DataFoldClient, config: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        client.configure_signing(config)


@pytest.mark.parametrize(
    "url", ["", "datafold.example", "ftp://x", "http://", "http://u:p@x", "http://x/?a=1"]
)
def test_a_base_url_that_cannot_work_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url"):
        create_http_client(base_url=url)


@pytest.mark.parametrize("path", ["", "api", "https://evil.example/x", "//evil.example/x"])
def test_only_paths_below_the_base_url_are_called(client: DataFoldClient, server: Server, path: str) -> None:
    with pytest.raises(ConfigurationError):
        client.get(path)
    assert server.received == []


def test_a_body_that_is_no_json_is_refused(client: DataFoldClient) -> None:
    for body in ({"x": object()}, {"x": float("nan")}):
        with pytest.raises(ConfigurationError, match="JSON"):
            client.post("/x", json=body)


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "SIGNATURE_TOO_LARGE", BadRequestError),
        (411, "LENGTH_REQUIRED", BadRequestError),
        (401, "SIGNATURE_MISSING", SignatureError),
        (401, "COMPONENT_NOT_COVERED", SignatureError),
        (401, "DIGEST_MISMATCH", SignatureError),
        (401, "NONCE_REUSED", NonceReusedError),
        (401, "SIGNATURE_VERIFICATION_FAILED", SignatureMismatchError),
        (401, "SIGNATURE_EXPIRED", ClockError),
        (401, "TIMESTAMP_IN_FUTURE", ClockError),
        (403, "KEY_NOT_ACTIVE", KeyStateError),
        (403, "KEY_REVOKED", KeyStateError),
        (403, "SCOPE_MISSING", PermissionDeniedError),
        (404, "SCHEMA_NOT_FOUND", NotFoundError),
        (409, "SCHEMA_EXISTS", ConflictError),
        (409, "SCHEMA_INCOMPATIBLE", SchemaIncompatibleError),
        (422, "SCHEMA_INVALID", ValidationError),
        (429, "RATE_LIMITED", RateLimitedError),
        (500, "INTERNAL_ERROR", ServerError),
        (503, "REPLAY_CHECK_UNAVAILABLE", ServiceUnavailableError),
    ],
)
def test_every_refusal_is_an_error_of_its_own(
    server: Server, client: DataFoldClient, status: int, code: str, expected: type[APIError]
) -> None:
    server.answer = lambda _: refusal(status, code, cause="Because.", cure="Do this.", problems=[1])
    with pytest.raises(expected) as caught:
        client.get("/x")
    error = caught.value
    assert type(error) is expected
    assert (error.status, error.code, error.request_id) == (status, code, "req-1")
    assert error.details["problems"] == [1]
    assert (error.cause, error.cure) == ("Because.", "Do this.")
    assert all(text in str(error) for text in (code, f"Refused: {code}.", "Because.", "Do this.", "req-1"))
    assert len(server.received) == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("17", 17), ("", None), ("soon", None), ("-1", None), ("9" * 400, None), (None, 30)],
)
def test_retry_after_is_told_in_seconds(
    server: Server, client: DataFoldClient, value: str | None, seconds: float | None
) -> None:
    field = formatdate(time.time() + 30, usegmt=True) if value is None else value
    server.answer = lambda _: refusal(429, "RATE_LIMITED", headers={"Retry-After": field})
    with pytest.raises(RateLimitedError) as caught:
        client.get("/x")
    assert caught.value.retry_after == (pytest.approx(seconds, abs=2) if seconds else None)


@pytest.mark.parametrize(
    ("offset", "code", "says"),
    [
        (-312, "TIMESTAMP_IN_FUTURE", "312 s ahead of"),
        (4000, "SIGNATURE_EXPIRED", "4000 s behind"),
        (0, "SIGNATURE_EXPIRED", "agrees"),
    ],
)
def test_a_wrong_clock_is_told_by_how_much(server: Server, offset: int, code: str, says: str) -> None:
    now = 1_700_000_000
    server.answer = lambda _: refusal(401, code, headers={"Date": formatdate(now + offset, usegmt=True)})
    with (
        create_http_client(base_url=server.url, clock=lambda: float(now)) as client,
        pytest.raises(ClockError, match=says) as caught,
    ):
        client.get("/x")
    assert caught.value.clock_skew == -offset


@pytest.mark.parametrize(
    "reply",
    [
        Reply(500, body=b"<html>oops"),
        Reply(502, body=b""),
        Reply(500, json=[]),
        Reply(500, json={"error": "x"}),
        Reply(500, json={"error": {"code": 7, "details": 1}, "meta": []}),
        Reply(500, body=b"[" * 100_000),
        Reply(500, body=b"\xff\xfe"),
    ],
)
def test_a_failing_proxy_is_still_a_typed_error(server: Server, client: DataFoldClient, reply: Reply) -> None:
    server.answer = lambda _: reply
    with pytest.raises(ServerError) as caught:
        client.get("/x")
    assert caught.value.code == f"HTTP_{reply.status}"


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b'"x"', b"[" * 100_000])
def test_a_success_that_is_no_json_object_is_told_apart(
    server: Server, client: DataFoldClient, body: bytes
) -> None:
    server.answer = lambda _: Reply(200, body=body)
    with pytest.raises(InvalidResponseError):
        client.get("/x")


def test_an_empty_success_is_an_empty_object(server: Server, client: DataFoldClient) -> None:
    server.answer = lambda _: Reply(204)
    assert client.delete("/x") == {}


def test_a_server_that_is_not_there_is_a_transport_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with (
            create_http_client(base_url=url) as client,
            pytest.raises(TransportError, match="cannot be reached"),
        ):
            client.get("/x")


async def test_a_server_that_says_nothing_times_out(server: Server) -> None:
    done = threading.Event()

    def answer(_: Received) -> Reply:
        done.wait(10)
        return success({})

    server.answer = answer
    try:
        with (
            create_http_client(base_url=server.url, timeout=0.2) as client,
            pytest.raises(RequestTimeoutError, match="not known"),
        ):
            client.get("/x")
        async with create_enhanced_http_client(base_url=server.url, timeout=0.2) as async_client:
            with pytest.raises(RequestTimeoutError):
                await async_client.get("/x")
    finally:
        done.set()


def test_threads_share_one_client(server: Server, client: DataFoldClient, key: PrivateKey) -> None:
    threads = [threading.Thread(target=lambda: client.get("/x")) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({received.verify({"app-1": key}).nonce for received in server.received}) == 16
