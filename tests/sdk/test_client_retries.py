"""Second attempts and redirects, over a real local server."""

from __future__ import annotations

import httpx2
import pytest
from datafold_sdk import (
    Credentials,
    DataFoldClient,
    NonceReusedError,
    PrivateKey,
    RedirectRefusedError,
    ServerKeys,
    SignatureAuth,
    SignatureError,
    create_enhanced_http_client,
    create_http_client,
)

from tests.sdk.server import Answer, Received, Reply, Server, refusal, running, success


def demanding(key: PrivateKey, component: str) -> Answer:
    """A server that wants one component more than the profile signs."""

    def answer(received: Received) -> Reply:
        result = received.verify({"app-1": key})
        if f'"{component}"' in result.covered_components:
            return success(result.nonce)
        accept = f'sig1=("@method" "@target-uri" "{component}");created;tag="datafold"'
        return refusal(401, "COMPONENT_NOT_COVERED", headers={"Accept-Signature": accept})

    return answer


def test_a_refused_call_is_signed_as_asked_and_tried_once_more(
    server: Server, client: DataFoldClient, key: PrivateKey
) -> None:
    server.answer = demanding(key, "@authority")
    assert client.get("/a?x=1")["success"] is True
    assert len(server.received) == 2
    client.get("/a?x=2")
    assert len(server.received) == 3, "the second call knew what was wanted"
    client.get("/b")
    assert len(server.received) == 5


def test_without_the_cache_every_call_learns_anew(
    server: Server, credentials: Credentials, key: PrivateKey
) -> None:
    server.answer = demanding(key, "@authority")
    with create_http_client(base_url=server.url, enable_signature_cache=False) as client:
        client.configure_signing(credentials)
        client.get("/a")
        client.get("/a")
    assert len(server.received) == 4


async def test_the_async_client_meets_demands_too(
    server: Server, credentials: Credentials, key: PrivateKey
) -> None:
    server.answer = demanding(key, "@authority")
    async with create_enhanced_http_client(base_url=server.url) as client:
        client.configure_signing(credentials)
        assert (await client.post("/a", json={"x": 1}))["success"] is True
    assert [r.json for r in server.received] == [{"x": 1}] * 2


def test_a_demand_that_is_never_content_ends_after_two(server: Server, client: DataFoldClient) -> None:
    def answer(_: Received) -> Reply:
        count = len(server.received)
        accept = (
            'sig1=("@method" "@target-uri" "@path")'
            if count % 2
            else 'sig1=("@method" "@target-uri" "@query")'
        )
        return refusal(401, "COMPONENT_NOT_COVERED", headers={"Accept-Signature": accept})

    server.answer = answer
    with pytest.raises(SignatureError):
        client.get("/a")
    assert len(server.received) == 2


def test_a_reused_nonce_is_not_tried_again(server: Server, client: DataFoldClient) -> None:
    accept = 'sig1=("@method" "@target-uri" "@authority")'
    server.answer = lambda _: refusal(401, "NONCE_REUSED", headers={"Accept-Signature": accept})
    with pytest.raises(NonceReusedError):
        client.post("/a", json={})
    assert len(server.received) == 1


def test_a_redirect_within_the_origin_is_signed_afresh(
    server: Server, client: DataFoldClient, key: PrivateKey
) -> None:
    def answer(received: Received) -> Reply:
        return success({}) if received.url.endswith("/new") else Reply(308, headers={"Location": "/new"})

    server.answer = answer
    client.get("/old")
    first, second = (received.verify({"app-1": key}) for received in server.received)
    assert second.covered_components['"@target-uri"'] == f"{server.url}/new"
    assert first.nonce != second.nonce


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["{other}/x", "https://127.0.0.1/x", "http://[", "//localhost/x"])
def test_no_redirect_carries_a_signature_elsewhere(
    server: Server, client: DataFoldClient, status: int, location: str
) -> None:
    with running() as other:
        server.answer = lambda _: Reply(status, headers={"Location": location.format(other=other.url)})
        with pytest.raises(RedirectRefusedError, match="base_url"):
            client.get("/x")
        assert other.received == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_write_is_not_signed_for_where_a_redirect_points(
    server: Server, client: DataFoldClient, status: int, method: str
) -> None:
    """Whoever can redirect would choose what is deleted."""
    server.answer = lambda _: Reply(status, headers={"Location": "/new"})
    with pytest.raises(RedirectRefusedError):
        client.request(method, "/x", json={})
    assert len(server.received) == 1


def test_who_wants_signed_answers_is_not_redirected_to_another_one(server: Server, key: PrivateKey) -> None:
    server.answer = lambda _: Reply(307, headers={"Location": "/other"})
    keys = ServerKeys.from_jwks({"keys": [key.public_jwk]})
    with DataFoldClient(server.url, server_keys=keys) as client, pytest.raises(RedirectRefusedError):
        client.get("/asked")
    assert [received.url for received in server.received] == [f"{server.url}/asked"]


async def test_redirects_in_a_circle_end(server: Server) -> None:
    server.answer = lambda _: Reply(302, headers={"Location": "/x"})
    async with create_enhanced_http_client(base_url=server.url) as client:
        with pytest.raises(RedirectRefusedError):
            await client.get("/x")
    assert len(server.received) == 6


def test_a_plain_client_with_the_hook_leaves_no_signature_elsewhere(
    server: Server, credentials: Credentials
) -> None:
    with running() as other:
        server.answer = lambda _: Reply(307, headers={"Location": f"{other.url}/x"})
        hooks = {"request": [SignatureAuth.drop_stale_signature]}
        with httpx2.Client(
            auth=SignatureAuth(credentials), follow_redirects=True, event_hooks=hooks
        ) as plain:
            plain.get(f"{server.url}/x")
        assert (server.received[0].signed, other.received[0].signed) == (True, False)


async def test_a_plain_async_client_signs_with_the_auth(
    server: Server, credentials: Credentials, key: PrivateKey
) -> None:
    async with httpx2.AsyncClient(auth=SignatureAuth(credentials, origin=server.url)) as plain:
        await plain.post(f"{server.url}/x", json={"a": 1})
    assert server.received[0].verify({"app-1": key}).body == b'{"a":1}'
