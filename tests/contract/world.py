"""A server with something of everything in it, and callers of each kind."""

from __future__ import annotations

import secrets
from typing import Any

import requests
import requests.auth

from tests.support.server import DataFoldServer
from tests.support.signing import Signer
from tests.support.wire import Caller, assert_granted

PASSWORD = "a long enough passphrase"
SCOPES = ["schemas:read", "schemas:write", "keys:rotate", "webhooks:manage"]
FIELDS = [{"name": "id", "type": "string", "required": True}]
OPERATORS = f"""
from accounts import operators
from accounts.audit import Actor
from accounts.roles import Role
for name, role in (("contract-admin", Role.ADMIN), ("contract-other", Role.AUDITOR)):
    user, _ = operators.create_operator(
        actor=Actor.system("tests"), username=name, role=role, password={PASSWORD!r}
    )
print("other=%d" % user.pk)
"""


class World:
    """Attributes:
    places: by parameter's name, values that are there, for about half of all calls.
    key: the signer's key, as its registration answered.
    """

    def __init__(self, server: DataFoldServer) -> None:
        self.server = server
        self.signer = Signer(f"contract-{secrets.token_hex(4)}")
        self.session = requests.Session()
        self.session.trust_env = False
        other = server.manage("shell", "-c", OPERATORS).stdout.rpartition("other=")[2]
        self._caller = Caller(server.base_url)
        login = {"username": "contract-admin", "password": PASSWORD}
        answer = assert_granted(self._caller.http.post("/api/v1/operators/tokens", json=login))
        self.token = str(answer["data"]["access_token"])
        self.key = self._let_in()
        names = [self._schema(number) for number in range(12)]
        clients = [self._client(number) for number in range(12)]
        webhooks = [self._webhook(number) for number in range(6)]
        self.places: dict[str, list[Any]] = {
            "name": names,
            "number": [1],
            "client_id": [client for client, _ in clients],
            "key_id": [key for _, key in clients],
            "user_id": [int(other)],
            "event_id": [1, 2, 3],
            "webhook_id": webhooks,
            "delivery_id": [self._delivery(webhooks[0])],
            "task_id": [self._task(names[0])],
        }

    def auth(self, security: list[dict[str, Any]]) -> requests.auth.AuthBase | None:
        """How a call with these security requirements is made."""
        schemes = {name for scheme in security for name in scheme}
        if "HTTPMessageSignature" in schemes:
            return SignatureAuth(self.signer)
        return BearerAuth(self.token) if "OperatorToken" in schemes else None

    def close(self) -> None:
        self._caller.close()
        self.session.close()

    def _let_in(self) -> dict[str, Any]:
        key: dict[str, Any] = assert_granted(self._caller.register(self.signer))["data"]
        terms = {"thumbprint": key["thumbprint"], "scopes": SCOPES}
        assert_granted(self.operate("POST", f"keys/{key['registration_id']}/approve", terms))
        return key

    def operate(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        return self._caller.http.request(method, f"/api/v1/operators/{path}", json=body, headers=headers)

    def _signed(self, path: str, body: Any = None) -> Any:
        return self._caller.signed(self.signer, "POST", f"/api/v1/{path}", body)

    def _schema(self, number: int) -> str:
        assert_granted(self._signed("schemas", {"name": f"contract-{number}", "fields": FIELDS}), 201)
        return f"contract-{number}"

    def _client(self, number: int) -> tuple[str, str]:
        signer = Signer(f"contract-client-{number}")
        return signer.key_id, assert_granted(self._caller.register(signer))["data"]["registration_id"]

    def _webhook(self, number: int) -> str:
        body = {"url": f"http://127.0.0.1:9/{number}", "events": ["*"]}
        return str(assert_granted(self._signed("webhooks", body), 201)["data"]["id"])

    def _delivery(self, webhook: str) -> str:
        assert_granted(self._signed(f"webhooks/{webhook}/test"), 202)
        path = f"/api/v1/webhooks/{webhook}/deliveries"
        return str(assert_granted(self._caller.signed(self.signer, "GET", path))["data"][0]["id"])

    def _task(self, schema: str) -> str:
        headers = {"Content-Type": "application/x-ndjson"}
        url = f"{self.server.base_url}/api/v1/schemas/{schema}/versions/1/validate-file"
        signed = self.signer.sign("POST", url, content=b'{"id": "a"}\n{}\n', headers=headers)
        return str(assert_granted(self._caller.send(signed), 202)["data"]["id"])


class SignatureAuth(requests.auth.AuthBase):
    """Signs what is about to be sent, as the standard profile wants it."""

    def __init__(self, signer: Signer) -> None:
        self.signer = signer

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body: Any = request.body.encode() if isinstance(request.body, str) else request.body
        media_type: Any = request.headers.get("Content-Type") or "application/octet-stream"
        signed = self.signer.sign(
            str(request.method),
            str(request.url),
            content=body or None,
            headers={"Content-Type": media_type} if body else {},
        )
        request.headers.update(signed.headers)
        return request


class BearerAuth(requests.auth.AuthBase):
    def __init__(self, token: str) -> None:
        self.token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request
