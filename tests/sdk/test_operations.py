"""The methods for the API's calls: what each puts on the wire."""

from __future__ import annotations

from typing import Any

import pytest
from datafold_sdk import (
    ConfigurationError,
    DataFoldClient,
    PrivateKey,
    SignatureMismatchError,
    create_enhanced_http_client,
)

from tests.sdk.server import Server, refusal, success

FIELDS = [{"name": "id", "type": "uuid", "required": True}]


@pytest.mark.parametrize(
    ("method", "args", "kwargs", "sent"),
    [
        ("key_status", (), {}, ("GET", "/crypto/keys/status/app-1", None)),
        ("key_status", ("a/b ?",), {}, ("GET", "/crypto/keys/status/a%2Fb%20%3F", None)),
        ("update_key", (), {"key_name": "n"}, ("PUT", "/crypto/keys/update/app-1", {"key_name": "n"})),
        (
            "revoke",
            (),
            {"reason": "keyCompromise"},
            ("DELETE", "/crypto/keys/revoke/app-1", {"reason": "keyCompromise"}),
        ),
        ("system_status", (), {}, ("GET", "/system/status", None)),
        ("auth_status", (), {}, ("GET", "/auth/status", None)),
        ("me", (), {}, ("GET", "/auth/me", None)),
        ("auth_test", ({"a": 1},), {}, ("POST", "/auth/test", {"a": 1})),
        ("task", ("t-1",), {}, ("GET", "/tasks/t-1", None)),
        ("inspect_signature", ({"method": "GET"},), {}, ("POST", "/signatures/inspect", {"method": "GET"})),
        (
            "verify_signature",
            (),
            {"client_id": "a", "message": "m", "signature": "s"},
            ("POST", "/crypto/signatures/verify", {"client_id": "a", "message": "m", "signature": "s"}),
        ),
        (
            "schemas.list",
            (),
            {"limit": 5, "state": "approved"},
            ("GET", "/schemas?limit=5&state=approved", None),
        ),
        ("schemas.create", ("x",), {"fields": FIELDS}, ("POST", "/schemas", {"name": "x", "fields": FIELDS})),
        ("schemas.get", ("a b",), {}, ("GET", "/schemas/a%20b", None)),
        ("schemas.delete", ("x",), {}, ("DELETE", "/schemas/x", None)),
        ("schemas.versions", ("x",), {}, ("GET", "/schemas/x/versions", None)),
        ("schemas.version", ("x", 2), {"format": "avro"}, ("GET", "/schemas/x/versions/2?format=avro", None)),
        (
            "schemas.add_version",
            ("x",),
            {"content": {}, "format": "jsonschema"},
            ("POST", "/schemas/x/versions", {"content": {}, "format": "jsonschema"}),
        ),
        (
            "schemas.check_compatibility",
            ("x",),
            {"fields": FIELDS},
            ("POST", "/schemas/x/compatibility", {"fields": FIELDS}),
        ),
        (
            "schemas.validate",
            ("x", 1, None),
            {},
            ("POST", "/schemas/x/versions/1/validate", {"document": None}),
        ),
        (
            "schemas.validate_batch",
            ("x", 1, [1]),
            {},
            ("POST", "/schemas/x/versions/1/validate", {"documents": [1]}),
        ),
        (
            "schemas.check_compatibility",
            ("x",),
            {"fields": FIELDS, "policy": "lenient", "against": "in_use"},
            (
                "POST",
                "/schemas/x/compatibility",
                {"fields": FIELDS, "policy": "lenient", "against": "in_use"},
            ),
        ),
        (
            "schemas.update",
            ("x",),
            {"description": "", "writers": ["a"]},
            ("PATCH", "/schemas/x", {"description": "", "writers": ["a"]}),
        ),
        ("schemas.latest", ("x",), {}, ("GET", "/schemas/x/versions/latest", None)),
        (
            "schemas.latest",
            ("x",),
            {"format": "avro"},
            ("GET", "/schemas/x/versions/latest?format=avro", None),
        ),
        ("schemas.referenced_by", ("x",), {}, ("GET", "/schemas/x/referenced-by", None)),
        ("schemas.readers", ("x",), {}, ("GET", "/schemas/x/readers", None)),
        ("cancel_task", ("t-1",), {}, ("POST", "/tasks/t-1/cancel", None)),
        ("schemas.receipt", ("x", 1), {}, ("GET", "/schemas/x/versions/1/receipt", None)),
    ],
)
def test_each_method_makes_its_call_signed(
    server: Server,
    client: DataFoldClient,
    key: PrivateKey,
    method: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    sent: tuple[Any, ...],
) -> None:
    target: Any = client
    for name in method.split("."):
        target = getattr(target, name)
    assert target(*args, **kwargs)["success"] is True
    received = server.received[0]
    received.verify({"app-1": key})
    body = received.json if received.body else None
    assert (received.method, received.url, body) == (sent[0], f"{server.url}/api/v1{sent[1]}", sent[2])


@pytest.mark.parametrize("algorithm", ["ed25519", "ecdsa-p256-sha256"])
def test_registering_proves_that_the_new_key_is_held(server: Server, algorithm: str) -> None:
    key = PrivateKey.generate(algorithm)
    with DataFoldClient(server.url) as client:
        client.register(private_key=key, client_id="app-1", metadata={"team": "a"})
        assert client.credentials is None
    received = server.received[0]
    received.verify({key.thumbprint: key})
    assert received.json == {
        "public_key": key.public_text,
        "algorithm": algorithm,
        "client_id": "app-1",
        "metadata": {"team": "a"},
    }


def test_a_public_key_alone_is_registered_unsigned(server: Server) -> None:
    with DataFoldClient(server.url) as client:
        client.register("ab" * 32)
        with pytest.raises(ConfigurationError):
            client.register()
    assert [received.signed for received in server.received] == [False]


def test_after_a_rotation_the_client_signs_with_the_new_key(
    server: Server, client: DataFoldClient, key: PrivateKey
) -> None:
    new_key = PrivateKey.generate()
    client.rotate(new_key, grace_seconds=60)
    client.me()
    rotation, following = server.received
    rotation.verify({"app-1": key})
    rotation.verify({new_key.thumbprint: new_key}, tag="datafold-new-key")
    assert rotation.json == {"public_key": new_key.public_text, "algorithm": "ed25519", "grace_seconds": 60}
    following.verify({"app-1": new_key})


def test_a_refused_rotation_leaves_the_old_key_in_use(
    server: Server, client: DataFoldClient, key: PrivateKey
) -> None:
    server.answer = lambda _: refusal(401, "SIGNATURE_VERIFICATION_FAILED")
    with pytest.raises(SignatureMismatchError):
        client.rotate(PrivateKey.generate())
    server.answer = lambda _: success({})
    client.me()
    server.received[-1].verify({"app-1": key})


async def test_the_async_methods_are_awaited(server: Server, key: PrivateKey) -> None:
    async with create_enhanced_http_client(base_url=server.url) as client:
        client.configure_signing({"key_id": "app-1", "private_key": key.private_pem()})
        new_key = PrivateKey.generate()
        await client.rotate(new_key)
        await client.schemas.create("x", fields=FIELDS)
    server.received[1].verify({"app-1": new_key})


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_cannot_walk_out_of_its_path(client: DataFoldClient, name: str) -> None:
    with pytest.raises(ConfigurationError):
        client.schemas.delete(name)


def test_calls_that_need_a_signature_say_so_before_anything_is_sent(server: Server) -> None:
    with DataFoldClient(server.url) as client:
        for call in (
            client.me,
            client.key_status,
            client.revoke,
            lambda: client.rotate(PrivateKey.generate()),
        ):
            with pytest.raises(ConfigurationError, match="configure_signing"):
                call()
    assert server.received == []
