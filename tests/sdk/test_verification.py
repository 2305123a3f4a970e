"""What the server signs: responses, webhooks, its key directory."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from datafold_sdk import (
    DataFoldClient,
    InvalidResponseError,
    PrivateKey,
    ServerKeys,
    TransportError,
    VerificationError,
    verify_response,
    verify_webhook,
)
from datafold_sdk.keys import ALGORITHMS
from datafold_sdk.verification import DIRECTORY_PATH
from http_message_signatures import HTTPMessageSigner, MappingKeyResolver
from http_message_signatures.httpx2 import adapt_message

from tests.sdk.server import Answer, Received, Reply, Server

COVERED = ("@status", "content-digest", '"@method";req', '"@target-uri";req')


def sign(
    message: Any, body: bytes | None, key: PrivateKey, components: tuple[str, ...], **options: Any
) -> None:
    signer = HTTPMessageSigner(
        signature_algorithm=ALGORITHMS[key.algorithm],
        key_resolver=MappingKeyResolver(public_keys={}, private_keys={key.thumbprint: key.key}),
    )
    signer.sign(
        adapt_message(message), key_id=key.thumbprint, covered_component_ids=components, body=body, **options
    )


def response(
    key: PrivateKey, *, components: tuple[str, ...] = COVERED, body: bytes = b'{"a":1}', **options: Any
) -> httpx2.Response:
    request = httpx2.Request("GET", "https://datafold.example/api/v1/auth/me")
    answer = httpx2.Response(200, content=body, request=request)
    sign(answer, body, key, components, **{"tag": "datafold-response", **options})
    return answer


def keys_of(*keys: PrivateKey, **members: Any) -> ServerKeys:
    return ServerKeys.from_jwks(
        {"keys": [{**key.public_jwk, "kid": key.thumbprint, **members} for key in keys]}
    )


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_a_signed_response_verifies(algorithm: str) -> None:
    key = PrivateKey.generate(algorithm)
    verified = verify_response(response(key), keys_of(PrivateKey.generate(), key))
    assert (verified.key_id, verified.algorithm, verified.body) == (key.thumbprint, algorithm, b'{"a":1}')
    assert '"@target-uri";req' in verified.components


def test_what_was_changed_on_the_way_does_not_verify(key: PrivateKey) -> None:
    keys = keys_of(key)
    answer = response(key)
    answer.status_code = 201
    other_request = response(key)
    other_request.request = httpx2.Request("GET", "https://datafold.example/api/v1/other")
    other_body = httpx2.Response(
        200, headers=response(key).headers, content=b'{"a":2}', request=answer.request
    )
    for tampered in (answer, other_request, other_body):
        with pytest.raises(VerificationError):
            verify_response(tampered, keys)


@pytest.mark.parametrize("left_out", COVERED)
def test_a_signature_over_too_little_does_not_count(key: PrivateKey, left_out: str) -> None:
    components = tuple(name for name in COVERED if name != left_out)
    answer = response(key, components=components)
    if left_out == "content-digest":
        answer = httpx2.Response(200, content=b"x", request=answer.request)
        sign(answer, None, key, components, tag="datafold-response")
    with pytest.raises(VerificationError):
        verify_response(answer, keys_of(key))


def test_old_expired_and_future_signatures_do_not_count(key: PrivateKey) -> None:
    def at(seconds: float) -> datetime:
        return datetime.fromtimestamp(time.time() + seconds, UTC)

    keys = keys_of(key)
    cases: tuple[dict[str, Any], ...] = (
        {"created": at(-400)},
        {"created": at(60)},
        {"created": at(-100), "expires": at(-50)},
    )
    for options in cases:
        with pytest.raises(VerificationError):
            verify_response(response(key, **options), keys)
    assert verify_response(response(key, created=at(-400)), keys, max_age=500)


def test_a_key_signs_only_within_its_lifetime(key: PrivateKey) -> None:
    now = int(time.time())
    verify_response(response(key), keys_of(key, nbf=now - 10, exp=now + 10))
    for lifetime in ({"nbf": now + 100}, {"exp": now - 100}):
        with pytest.raises(VerificationError, match="nbf and exp"):
            verify_response(response(key), keys_of(key, **lifetime))


def test_a_key_that_is_not_published_is_named(key: PrivateKey) -> None:
    with pytest.raises(VerificationError, match="not in the key directory") as caught:
        verify_response(response(key), keys_of(PrivateKey.generate()))
    assert caught.value.code == "UNKNOWN_SERVER_KEY"


@pytest.mark.parametrize("field", ["", "x", "sig1=(", 'sig1=("@status");keyid=1', "sig1=?1", "a=1," * 5000])
def test_a_broken_signature_input_is_one_error(key: PrivateKey, field: str) -> None:
    answer = response(key)
    answer.headers["Signature-Input"] = field
    with pytest.raises(VerificationError):
        verify_response(answer, keys_of(key))


def test_several_signatures_need_a_tag(key: PrivateKey) -> None:
    answer = response(key, tag="one", label="a")
    adapted = adapt_message(answer)
    HTTPMessageSigner(
        signature_algorithm=ALGORITHMS["ed25519"],
        key_resolver=MappingKeyResolver(public_keys={}, private_keys={key.thumbprint: key.key}),
    ).sign(
        adapted,
        key_id=key.thumbprint,
        covered_component_ids=COVERED,
        tag="two",
        label="b",
        append_if_signature_exists=True,
        use_existing_digest=True,
    )
    for tag in (None, "datafold-response"):
        with pytest.raises(VerificationError, match="tag"):
            verify_response(answer, keys_of(key), tag=tag)
    assert verify_response(answer, keys_of(key), tag="two")


@pytest.mark.parametrize("tag", [None, "datafold-webhook", "my-app"])
def test_what_was_signed_for_something_else_is_no_response(key: PrivateKey, tag: str | None) -> None:
    answer = response(key, tag=tag)
    with pytest.raises(VerificationError, match="datafold-response"):
        verify_response(answer, keys_of(key))
    assert verify_response(answer, keys_of(key), tag=tag)


def test_a_webhook_verifies_from_what_any_framework_hands_over(key: PrivateKey) -> None:
    body = b'{"event":"key.approved"}'
    request = httpx2.Request("POST", "https://receiver.example/hook?x=1", content=body)
    sign(request, body, key, ("@method", "@target-uri"), nonce="n-1", tag="datafold-webhook")
    received: dict[str, Any] = {
        "method": "post",
        "url": str(request.url),
        "headers": {name.upper(): value for name, value in request.headers.items()},
        "body": body,
        "keys": keys_of(key),
    }
    assert verify_webhook(**received).nonce == verify_webhook(**received, tag=None).nonce == "n-1"
    assert verify_webhook(**{**received, "headers": list(received["headers"].items())}).body == body
    changes: tuple[dict[str, Any], ...] = (
        {"body": body + b" "},
        {"url": "https://receiver.example/hook"},
        {"method": "PUT"},
        {"headers": {}},
        {"headers": {"Signature-Input": "é", "Signature": "é"}},
    )
    for change in changes:
        with pytest.raises(VerificationError):
            verify_webhook(**{**received, **change})
    with pytest.raises(VerificationError):
        verify_webhook(**received, tag="another")


@pytest.mark.parametrize("tag", [None, "datafold-response"])
def test_what_was_signed_for_something_else_is_no_webhook(key: PrivateKey, tag: str | None) -> None:
    request = httpx2.Request("POST", "https://receiver.example/hook", content=b"{}")
    sign(request, b"{}", key, ("@method", "@target-uri"), tag=tag)
    with pytest.raises(VerificationError, match="datafold-webhook"):
        verify_webhook(
            method="POST", url=str(request.url), headers=request.headers, body=b"{}", keys=keys_of(key)
        )


@pytest.mark.parametrize(
    "jwks", ["", "[]", "{}", {"keys": []}, {"keys": 7}, {"keys": [7, {"kty": "oct", "k": "AA"}]}]
)
def test_what_is_no_directory_is_refused(jwks: Any) -> None:
    with pytest.raises(VerificationError):
        ServerKeys.from_jwks(jwks)


def directory(key: PrivateKey, *, signing_key: PrivateKey | None = None) -> Answer:
    def answer(received: Received) -> Reply:
        body = json.dumps({"keys": [key.public_jwk]}).encode()
        message = httpx2.Response(200, content=body, request=httpx2.Request("GET", received.url))
        if signing_key is not None:
            components = ('"@authority";req', "content-digest")
            sign(message, body, signing_key, components, tag="http-message-signatures-directory")
        headers = {name: value for name, value in message.headers.items() if name != "content-length"}
        return Reply(200, body=body, headers=headers)

    return answer


async def test_the_directory_is_fetched_and_its_own_signature_checked(
    server: Server, key: PrivateKey
) -> None:
    for signing_key in (None, key):
        server.answer = directory(key, signing_key=signing_key)
        assert ServerKeys.fetch(server.url).thumbprints == (key.thumbprint,)
        assert (await ServerKeys.afetch(server.url)).thumbprints == (key.thumbprint,)
    assert server.received[0].url.endswith(DIRECTORY_PATH)
    server.answer = directory(key, signing_key=PrivateKey.generate())
    with pytest.raises(VerificationError):
        ServerKeys.fetch(server.url)


async def test_a_directory_that_cannot_be_had_is_a_typed_error(server: Server) -> None:
    server.answer = lambda _: Reply(302, headers={"Location": "/elsewhere"})
    with pytest.raises(InvalidResponseError):
        ServerKeys.fetch(server.url)
    assert len(server.received) == 1
    for url in ("http://127.0.0.1:1", "nonsense", "http://["):
        with pytest.raises(TransportError):
            ServerKeys.fetch(url)
        with pytest.raises(TransportError):
            await ServerKeys.afetch(url)


def test_a_client_can_insist_on_signed_answers(server: Server, key: PrivateKey) -> None:
    def answer(received: Received) -> Reply:
        body = b'{"success": true}'
        message = httpx2.Response(200, content=body, request=httpx2.Request(received.method, received.url))
        if received.url.endswith("/signed"):
            assert '"@target-uri";req' in received.headers["Accept-Signature"]
            sign(message, body, key, COVERED, tag="datafold-response")
        headers = {name: value for name, value in message.headers.items() if name != "content-length"}
        return Reply(200, body=body, headers=headers)

    server.answer = answer
    with DataFoldClient(server.url, server_keys=keys_of(key)) as client:
        assert client.get("/signed") == {"success": True}
        with pytest.raises(VerificationError, match="not signed"):
            client.get("/unsigned")
