"""Every call of the API as a method, written once for the synchronous and the asynchronous client."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from ._upload import FileBody
from .errors import ConfigurationError
from .keys import KeyMaterial, PrivateKey
from .refusals import JSONObject
from .signing import Credentials

#: What a method gives: the JSON object, or an awaitable of it.
R = TypeVar("R")

API: str = "/api/v1"


@dataclass(frozen=True)
class Call:
    """One request to be made, before it knows how it travels.

    Attributes:
        sign: True or False to decide for this call; None leaves it to the client's SigningMode.
        possession_of: sign with this key in its own name instead of the client's credentials.
        successor: sign with the client's credentials and with this key, for a rotation.
        on_success: told the answer before the caller gets it.
        file: the body, instead of `json`.
    """

    method: str
    path: str
    json: Any = None
    params: Mapping[str, Any] | None = None
    headers: Mapping[str, str] | None = None
    sign: bool | None = None
    possession_of: Credentials | None = None
    successor: Credentials | None = None
    on_success: Callable[[JSONObject], None] | None = None
    file: FileBody | None = None


class Operations(ABC, Generic[R]):
    """The methods that both clients share."""

    @abstractmethod
    def _perform(self, call: Call) -> R:
        """Make the call."""

    @abstractmethod
    def _require_credentials(self) -> Credentials:
        """The configured credentials, or ConfigurationError."""

    @abstractmethod
    def _replace_credentials(self, credentials: Credentials) -> None:
        """Sign with these from now on."""

    @property
    def schemas(self) -> SchemaOperations[R]:
        """The calls about schemas."""
        return SchemaOperations(self._perform)

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        sign: bool | None = None,
    ) -> R:
        """Make any call.

        Args:
            method: the HTTP method.
            path: below base_url, such as "/api/v1/auth/me"; what a URL cannot hold must be encoded.
            json: the body, sent as JSON.
            params: the query; sequences repeat their name.
            headers: further fields.
            sign: whether to sign this call; None leaves it to the SigningMode.

        Returns:
            The parsed JSON object of the answer.

        Raises:
            ConfigurationError: nothing was sent.
            TransportError: no answer came.
            APIError: the server refused.
        """
        return self._perform(Call(method.upper(), path, json, params, headers, sign))

    def get(self, path: str, *, params: Mapping[str, Any] | None = None, **options: Any) -> R:
        """GET; further options as for `request`."""
        return self.request("GET", path, params=params, **options)

    def post(self, path: str, *, json: Any = None, **options: Any) -> R:
        """POST; further options as for `request`."""
        return self.request("POST", path, json=json, **options)

    def put(self, path: str, *, json: Any = None, **options: Any) -> R:
        """PUT; further options as for `request`."""
        return self.request("PUT", path, json=json, **options)

    def patch(self, path: str, *, json: Any = None, **options: Any) -> R:
        """PATCH; further options as for `request`."""
        return self.request("PATCH", path, json=json, **options)

    def delete(self, path: str, *, json: Any = None, **options: Any) -> R:
        """DELETE; further options as for `request`."""
        return self.request("DELETE", path, json=json, **options)

    def register(
        self,
        public_key: str | None = None,
        *,
        private_key: KeyMaterial | PrivateKey | None = None,
        client_id: str | None = None,
        key_name: str | None = None,
        user_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
        enrolment_token: str | None = None,
        algorithm: str | None = None,
    ) -> R:
        """Register a public key.

        With `private_key` the request is signed by the new key itself, which proves that the caller holds
        it; the private key is not sent. With `public_key` alone nothing is proven.

        Args:
            public_key: 64 hexadecimal characters (Ed25519), or PEM; not needed with private_key.
            private_key: whatever `PrivateKey.load` reads.
            client_id: 1 to 64 of letters, digits, ".", "_", "-"; the server makes one up when left out.
            metadata: at most 10 keys, values under 256 characters.
            enrolment_token: the single-use token that an operator issued, under the policy "invite".
            algorithm: the key's RFC 9421 algorithm; needed for RSA v1.5 only.
        """
        key = PrivateKey.load(private_key, algorithm) if private_key is not None else None
        if key is None and public_key is None:
            raise ConfigurationError(
                "Registering needs a private_key (better: it proves possession) or a public_key."
            )
        body = _without_none(
            public_key=key.public_text if key else public_key,
            algorithm=key.algorithm if key else algorithm,
            client_id=client_id,
            key_name=key_name,
            user_id=user_id,
            metadata=dict(metadata) if metadata else None,
            enrolment_token=enrolment_token,
        )
        return self._perform(
            Call(
                "POST",
                f"{API}/crypto/keys/register",
                json=body,
                sign=key is not None,
                possession_of=Credentials.of_key(key) if key else None,
            )
        )

    def key_status(self, client_id: str | None = None) -> R:
        """The state of a client's key: everything when signed by that client, else the state alone."""
        return self._perform(Call("GET", f"{API}/crypto/keys/status/{_segment(self._own_id(client_id))}"))

    def update_key(
        self,
        *,
        key_name: str | None = None,
        metadata: Mapping[str, str] | None = None,
        client_id: str | None = None,
    ) -> R:
        """Change the name and the metadata of the client's own key."""
        body = _without_none(key_name=key_name, metadata=dict(metadata) if metadata is not None else None)
        path = f"{API}/crypto/keys/update/{_segment(self._own_id(client_id))}"
        return self._perform(Call("PUT", path, json=body, sign=True))

    def rotate(
        self,
        new_private_key: KeyMaterial | PrivateKey,
        *,
        algorithm: str | None = None,
        grace_seconds: int | None = None,
    ) -> R:
        """Replace the key in use: one request, signed by the old and by the new key.

        Store the new key before the call. After it, this client signs with the new key; the old one
        retires once the grace has passed.

        Args:
            new_private_key: whatever `PrivateKey.load` reads.
            grace_seconds: for how long the old key still verifies; the server's default when left out.
        """
        credentials = self._require_credentials()
        successor = credentials.with_key(PrivateKey.load(new_private_key, algorithm))
        body = _without_none(
            public_key=successor.private_key.public_text,
            algorithm=successor.private_key.algorithm,
            grace_seconds=grace_seconds,
        )
        return self._perform(
            Call(
                "POST",
                f"{API}/crypto/keys/rotate",
                json=body,
                sign=True,
                successor=successor,
                on_success=lambda _: self._replace_credentials(successor),
            )
        )

    def revoke(self, *, reason: str = "unspecified", client_id: str | None = None) -> R:
        """Revoke the client's own key, for good. `reason` is one of RFC 5280's, such as keyCompromise."""
        path = f"{API}/crypto/keys/revoke/{_segment(self._own_id(client_id))}"
        return self._perform(Call("DELETE", path, json={"reason": reason}, sign=True))

    def verify_signature(
        self, *, client_id: str, message: str, signature: str, message_encoding: str | None = None
    ) -> R:
        """Ask the server whether a detached signature of a registered client holds."""
        body = _without_none(
            client_id=client_id, message=message, signature=signature, message_encoding=message_encoding
        )
        return self._perform(Call("POST", f"{API}/crypto/signatures/verify", json=body))

    def inspect_signature(self, request: Mapping[str, Any]) -> R:
        """Show how the server reads a signed request, check by check, without spending its nonce."""
        return self._perform(Call("POST", f"{API}/signatures/inspect", json=dict(request)))

    def system_status(self) -> R:
        """The server's version, uptime and what it is configured to require."""
        return self._perform(Call("GET", f"{API}/system/status"))

    def auth_status(self) -> R:
        """Whether the server recognises this client."""
        return self._perform(Call("GET", f"{API}/auth/status"))

    def me(self) -> R:
        """Who this client is to the server, and what its signature covered."""
        return self._perform(Call("GET", f"{API}/auth/me", sign=True))

    def auth_test(self, body: Any = None) -> R:
        """Send a signed body and be told how its signature was read."""
        return self._perform(Call("POST", f"{API}/auth/test", json={} if body is None else body, sign=True))

    def task(self, task_id: str) -> R:
        """State, progress and result of background work that this client started."""
        return self._perform(Call("GET", f"{API}/tasks/{_segment(task_id)}"))

    def cancel_task(self, task_id: str) -> R:
        """End background work before it is done."""
        return self._perform(Call("POST", f"{API}/tasks/{_segment(task_id)}/cancel"))

    def _own_id(self, client_id: str | None) -> str:
        return client_id if client_id is not None else self._require_credentials().key_id


class SchemaOperations(Generic[R]):
    """The calls about schemas; reached as `client.schemas`."""

    def __init__(self, perform: Callable[[Call], R]) -> None:
        self._perform = perform

    def list(self, *, limit: int | None = None, cursor: str | None = None, **filters: Any) -> R:
        """One page of the schemas that this client may see; `meta` says how to get the next."""
        params = _without_none(limit=limit, cursor=cursor, **filters)
        return self._perform(Call("GET", f"{API}/schemas", params=params))

    def create(
        self,
        name: str,
        *,
        fields: Sequence[Mapping[str, Any]] | None = None,
        content: Any = None,
        format: str | None = None,  # noqa: A002 - the API's own word
        version: str | None = None,
        description: str | None = None,
        compatibility: str | None = None,
    ) -> R:
        """Write a schema's first version: `fields`, or `content` in the `format` jsonschema or avro."""
        body = _without_none(
            name=name,
            fields=fields,
            content=content,
            format=format,
            version=version,
            description=description,
            compatibility=compatibility,
        )
        return self._perform(Call("POST", f"{API}/schemas", json=body))

    def get(self, name: str) -> R:
        """A schema with its newest version."""
        return self._perform(Call("GET", _schema(name)))

    def update(
        self,
        name: str,
        *,
        description: str | None = None,
        compatibility: str | None = None,
        strict_writers_only: bool | None = None,
        writers: Sequence[str] | None = None,
    ) -> R:
        """Change what is given of a schema's settings; `writers` are the client_ids that may write it, too."""
        body = _without_none(
            description=description,
            compatibility=compatibility,
            strict_writers_only=strict_writers_only,
            writers=list(writers) if writers is not None else None,
        )
        return self._perform(Call("PATCH", _schema(name), json=body))

    def delete(self, name: str) -> R:
        """Take a schema out of use; its name stays its owner's."""
        return self._perform(Call("DELETE", _schema(name)))

    def versions(self, name: str, *, limit: int | None = None, cursor: str | None = None) -> R:
        """One page of a schema's versions."""
        params = _without_none(limit=limit, cursor=cursor)
        return self._perform(Call("GET", f"{_schema(name)}/versions", params=params))

    def version(self, name: str, number: int, *, format: str | None = None) -> R:  # noqa: A002
        """One version, converted to another format if asked for."""
        return self._perform(Call("GET", _version(name, number), params=_without_none(format=format)))

    def latest(self, name: str, *, format: str | None = None) -> R:  # noqa: A002
        """The newest version that is served, converted to another format if asked for."""
        path = f"{_schema(name)}/versions/latest"
        return self._perform(Call("GET", path, params=_without_none(format=format)))

    def referenced_by(self, name: str) -> R:
        """The registered versions that refer to this schema."""
        return self._perform(Call("GET", f"{_schema(name)}/referenced-by"))

    def readers(self, name: str) -> R:
        """Who read which version in the last 30 days; for the owner and its writers."""
        return self._perform(Call("GET", f"{_schema(name)}/readers"))

    def add_version(
        self,
        name: str,
        *,
        fields: Sequence[Mapping[str, Any]] | None = None,
        content: Any = None,
        format: str | None = None,  # noqa: A002 - the API's own word
        version: str | None = None,
        description: str | None = None,
    ) -> R:
        """Write a further version; refused with SchemaIncompatibleError where the mode forbids it."""
        body = _without_none(
            fields=fields, content=content, format=format, version=version, description=description
        )
        return self._perform(Call("POST", f"{_schema(name)}/versions", json=body))

    def check_compatibility(
        self,
        name: str,
        *,
        fields: Sequence[Mapping[str, Any]] | None = None,
        content: Any = None,
        format: str | None = None,  # noqa: A002 - the API's own word
        mode: str | None = None,
        policy: str | None = None,
        against: str | int | None = None,
    ) -> R:
        """Try a document against the schema's versions without writing anything.

        Args:
            mode: the schema's own unless given. policy: exact or lenient; the server's unless given.
            against: "latest", "in_use" or the number of a version; by default what the mode says.
        """
        body = _without_none(
            fields=fields, content=content, format=format, mode=mode, policy=policy, against=against
        )
        return self._perform(Call("POST", f"{_schema(name)}/compatibility", json=body))

    def validate(self, name: str, number: int, document: Any) -> R:
        """Check one document against a version."""
        return self._perform(Call("POST", f"{_version(name, number)}/validate", json={"document": document}))

    def validate_batch(self, name: str, number: int, documents: Sequence[Any]) -> R:
        """Check several documents against a version."""
        body = {"documents": [*documents]}
        return self._perform(Call("POST", f"{_version(name, number)}/validate", json=body))

    def validate_file(
        self, name: str, number: int, path: str | PathLike[str], *, media_type: str | None = None
    ) -> R:
        """Have a file checked against a version in the background; follow it with `client.task(id)`.

        The file is streamed, however large. It is read once before that, for the digest that is signed.

        Args:
            path: NDJSON, CSV with a header line or a JSON array; gzipped if the name ends in .gz.
            media_type: what is inside, where the name does not say it (.ndjson, .jsonl, .csv, .json).
        """
        file = FileBody(path, media_type=media_type)
        return self._perform(Call("POST", f"{_version(name, number)}/validate-file", file=file))

    def receipt(self, name: str, number: int) -> R:
        """The proof of who wrote a version, for `verify_receipt`."""
        return self._perform(Call("GET", f"{_version(name, number)}/receipt"))


def _schema(name: str) -> str:
    return f"{API}/schemas/{_segment(name)}"


def _version(name: str, number: int) -> str:
    return f"{_schema(name)}/versions/{int(number)}"


def _segment(text: str) -> str:
    """One path segment, whatever the text holds."""
    try:
        if text not in ("", ".", ".."):
            return quote(text, safe="")
    except UnicodeEncodeError:
        pass
    raise ConfigurationError(f"{text!r} cannot be a part of a path.")


def _without_none(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
