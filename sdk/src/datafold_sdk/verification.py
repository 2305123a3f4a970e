"""Checking what a DataFold server signed: responses and webhooks (RFC 9421 section 3.2)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

import http_sf
import httpx2
from http_message_signatures import (
    HTTPMessageSignaturesException,
    HTTPMessageVerifier,
    MappingKeyResolver,
    VerifyResult,
)
from http_message_signatures.httpx2 import adapt_message

from .errors import InvalidKeyError, InvalidResponseError, TransportError, VerificationError
from .keys import ALGORITHMS, AnyPublicKey, algorithms_for, jwk_thumbprint, load_public_jwk

DIRECTORY_PATH: Final = "/.well-known/http-message-signatures-directory"
DIRECTORY_TAG: Final = "http-message-signatures-directory"
MAX_DIRECTORY_BYTES: Final = 1 << 20
MAX_FIELD_LENGTH: Final = 8192
#: What the server's signatures are for: one that was made for something else does not count here.
RESPONSE_TAG: Final = "datafold-response"
WEBHOOK_TAG: Final = "datafold-webhook"
#: What a response's signature must cover, so that it answers this request and no other.
RESPONSE_COMPONENTS: Final = ("@status", '"@method";req', '"@target-uri";req')
#: What a webhook's signature must cover.
WEBHOOK_COMPONENTS: Final = ("@method", "@target-uri")
#: Sent with a request, it asks the server to sign its response (RFC 9421 section 5.1).
ACCEPT_RESPONSE_SIGNATURE: Final = (
    'sig1=("@status" "content-digest" "content-type" "@method";req "@target-uri";req);created'
)


@dataclass(frozen=True)
class VerifiedMessage:
    """A signature that holds.

    Attributes:
        key_id: thumbprint of the server key that signed.
        algorithm: RFC 9421 name.
        created: when it was signed.
        components: identifiers of what is covered, in order.
        nonce: to be remembered by whoever must refuse replays; None if the server sent none.
        body: the bytes that the signed Content-Digest vouches for; None if there were none.
    """

    key_id: str
    algorithm: str
    created: datetime
    components: tuple[str, ...]
    nonce: str | None
    body: bytes | None


class ServerKeys:
    """The public keys of a DataFold server, by thumbprint.

    Made from the server's key directory, a JWKS (RFC 7517 section 5). Keys of kinds that are not known are
    left out. `nbf` and `exp` of a key, where given, bound the `created` of what it signed.
    """

    def __init__(self, keys: Mapping[str, tuple[AnyPublicKey, Mapping[str, Any]]]) -> None:
        self._keys = dict(keys)

    @classmethod
    def from_jwks(cls, jwks: Mapping[str, Any] | str | bytes) -> Self:
        """Read a JWKS. Raises VerificationError if it is none or holds no usable key."""
        try:
            parsed = json.loads(jwks) if isinstance(jwks, (str, bytes)) else jwks
            listed = parsed["keys"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise VerificationError(
                "The key directory is not a JWKS: a JSON object with a list of keys."
            ) from None
        keys = dict(_usable_keys(listed if isinstance(listed, list) else ()))
        if not keys:
            raise VerificationError("The key directory holds no key that can be used.")
        return cls(keys)

    @classmethod
    def fetch(cls, base_url: str, *, timeout: float = 10.0) -> Self:
        """Fetch a server's directory, without following redirects, and check its own signature if it has one.

        Trust in the keys comes from TLS: use an https base_url.

        Raises:
            TransportError, InvalidResponseError: it could not be had.
            VerificationError: it is not usable, or its signature does not hold.
        """
        try:
            with httpx2.Client(timeout=timeout) as http:
                response = http.get(
                    _directory_url(base_url), follow_redirects=False, headers=_DIRECTORY_HEADERS
                )
        except (httpx2.HTTPError, httpx2.InvalidURL) as exc:
            raise _unreachable(base_url, exc) from exc
        return cls._from_response(response)

    @classmethod
    async def afetch(cls, base_url: str, *, timeout: float = 10.0) -> Self:
        """`fetch`, awaited."""
        try:
            async with httpx2.AsyncClient(timeout=timeout) as http:
                response = await http.get(
                    _directory_url(base_url), follow_redirects=False, headers=_DIRECTORY_HEADERS
                )
        except (httpx2.HTTPError, httpx2.InvalidURL) as exc:
            raise _unreachable(base_url, exc) from exc
        return cls._from_response(response)

    @classmethod
    def _from_response(cls, response: httpx2.Response) -> Self:
        if response.status_code != httpx2.codes.OK or len(response.content) > MAX_DIRECTORY_BYTES:
            raise InvalidResponseError(
                f"{response.request.url} did not give a key directory.", status=response.status_code
            )
        keys = cls.from_jwks(response.content)
        if "signature-input" in response.headers:
            required = ('"@authority";req', "content-digest")
            verify_response(response, keys, required=required, tag=DIRECTORY_TAG, max_age=None)
        return keys

    @property
    def thumbprints(self) -> tuple[str, ...]:
        """The names of the keys."""
        return tuple(self._keys)

    def __repr__(self) -> str:
        return f"<ServerKeys {', '.join(self._keys)}>"

    def find(self, key_id: str) -> tuple[AnyPublicKey, Mapping[str, Any]] | None:
        """A key and its JWK, by thumbprint."""
        return self._keys.get(key_id)


@dataclass(frozen=True)
class _Webhook:
    """A received request in the shape that http-message-signatures reads."""

    method: str
    url: str
    headers: Mapping[str, str]


def verify_response(
    response: httpx2.Response,
    keys: ServerKeys,
    *,
    required: Sequence[str] = RESPONSE_COMPONENTS,
    tag: str | None = RESPONSE_TAG,
    max_age: float | None = 300.0,
) -> VerifiedMessage:
    """Check that a response was signed by the server, for this request, over these bytes.

    Args:
        response: an httpx2 response that has been read, not compressed (send `Accept-Encoding: identity`).
        keys: the server's keys.
        required: components that must be covered; a body besides needs a covered Content-Digest.
        tag: the signature's tag: the server's own, unless another was asked for. None takes any, of a response
            that carries one signature.
        max_age: seconds since `created`; None: `expires` alone decides.

    Raises:
        VerificationError: it does not hold; the message says why.
    """
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding != "identity":
        raise VerificationError(
            f"The response is {encoding}-encoded: its signed bytes are lost. Send Accept-Encoding: identity."
        )
    return _verify(adapt_message(response), response.content, keys, required, tag, max_age)


def verify_webhook(
    *,
    method: str,
    url: str,
    headers: Mapping[str, str] | Iterable[tuple[str, str]],
    body: bytes,
    keys: ServerKeys,
    required: Sequence[str] = WEBHOOK_COMPONENTS,
    tag: str | None = WEBHOOK_TAG,
    max_age: float | None = 300.0,
) -> VerifiedMessage:
    """Check that a webhook came from the server and arrived unchanged.

    Deliveries come at least once: remember the event's id, or the nonce, to act on each once.

    Args:
        method: the request's method.
        url: the URL as it was subscribed, absolute; behind a proxy, the public one.
        headers: header fields as they arrived.
        body: the raw bytes as they arrived, before any parsing.
        keys, required, max_age: as for `verify_response`.
        tag: the signature's tag, so that nothing else that the server signs passes for a webhook. None takes any.

    Raises:
        VerificationError: it does not hold; the message says why.
    """
    message = _Webhook(method.upper(), url, _combined(headers))
    return _verify(message, body, keys, required, tag, max_age)


_DIRECTORY_HEADERS: Final = {
    "Accept": "application/http-message-signatures-directory+json, application/json",
    "Accept-Encoding": "identity",
}


def _verify(
    message: Any,
    body: bytes,
    keys: ServerKeys,
    required: Sequence[str],
    tag: str | None,
    max_age: float | None,
) -> VerifiedMessage:
    label, unverified_key_id, unverified_alg = _claimed_signature(
        _field(message.headers, "signature-input"), tag, keys
    )
    found = keys.find(unverified_key_id)
    if found is None:
        raise VerificationError(
            f"The message names the key {unverified_key_id!r}, which is not in the key directory. "
            "If the server has rotated its key, fetch the directory again.",
            code="UNKNOWN_SERVER_KEY",
        )
    key, jwk = found
    fitting = algorithms_for(key)
    algorithm = unverified_alg if unverified_alg in fitting else fitting[0]
    verifier = HTTPMessageVerifier(
        signature_algorithm=ALGORITHMS[algorithm],
        key_resolver=MappingKeyResolver(public_keys={unverified_key_id: key}, private_keys={}),
    )
    try:
        results = verifier.verify(
            message,
            max_age=timedelta(seconds=max_age) if max_age is not None else None,
            expect_tag=tag,
            expect_label=label if tag else None,
            require_components=tuple(required),
            body=body,
        )
    except (HTTPMessageSignaturesException, ValueError, TypeError) as exc:
        reason = str(exc) or "the signature does not fit the message"
        raise VerificationError(f"The server's signature does not hold: {reason}.") from exc
    if len(results) != 1:
        raise VerificationError("The message carries several signatures; say which one by its tag.")
    return _within_lifetime(results[0], algorithm, jwk)


def _within_lifetime(result: VerifyResult, algorithm: str, jwk: Mapping[str, Any]) -> VerifiedMessage:
    created = int(result.parameters["created"])
    if created < _seconds(jwk, "nbf", default=created) or created > _seconds(jwk, "exp", default=created):
        raise VerificationError("The server's key was not valid when it signed (nbf and exp of the key).")
    return VerifiedMessage(
        key_id=str(result.parameters["keyid"]),
        algorithm=algorithm,
        created=datetime.fromtimestamp(created, UTC),
        components=tuple(name for name in result.covered_components if name != '"@signature-params"'),
        nonce=result.nonce,
        body=result.body,
    )


def _seconds(jwk: Mapping[str, Any], name: str, *, default: float) -> float:
    value = jwk.get(name)
    return value if isinstance(value, (int, float)) else default


def _claimed_signature(
    signature_input: str | None, tag: str | None, keys: ServerKeys
) -> tuple[str, str, str | None]:
    """Label, keyid and alg that the signature of interest claims. Nothing is verified yet.

    Of several signatures with the tag (a key directory is signed by each of its keys) the first by a known key.
    """
    if not signature_input:
        raise VerificationError(
            "The message is not signed: it has no Signature-Input.", code="SIGNATURE_MISSING"
        )
    if len(signature_input) > MAX_FIELD_LENGTH:
        raise VerificationError("The message's Signature-Input is too long.")
    try:
        members: Any = http_sf.parse(signature_input.encode("ascii"), tltype="dictionary")
    except (ValueError, TypeError) as exc:
        raise VerificationError("The message's Signature-Input cannot be read.") from exc
    params = [(str(label), dict(member[1])) for label, member in members.items()]
    chosen = [(label, each) for label, each in params if tag is None or each.get("tag") == tag]
    if tag is not None and len(chosen) > 1:
        chosen = [(label, each) for label, each in chosen if keys.find(str(each.get("keyid"))) is not None][
            :1
        ]
    if len(chosen) != 1:
        raise VerificationError(
            f"The message carries {len(chosen)} signatures"
            + (f" tagged {tag!r} by a key of the directory." if tag else "; say which one by tag.")
        )
    label, unverified = chosen[0]
    key_id, algorithm = unverified.get("keyid"), unverified.get("alg")
    if not isinstance(key_id, str):
        raise VerificationError("The message's signature does not name its key.")
    return label, key_id, algorithm if isinstance(algorithm, str) else None


def _usable_keys(listed: Iterable[object]) -> Iterable[tuple[str, tuple[AnyPublicKey, Mapping[str, Any]]]]:
    for jwk in listed:
        if not isinstance(jwk, dict):
            continue
        try:
            yield jwk_thumbprint(jwk), (load_public_jwk(jwk), jwk)
        except InvalidKeyError:
            continue


def _field(headers: Any, name: str) -> str | None:
    values = [value for key, value in headers.items() if key.lower() == name]
    return ", ".join(values) if values else None


def _combined(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> dict[str, str]:
    """Field lines of one name joined in order (RFC 9110 section 5.2)."""
    lines = headers.items() if isinstance(headers, Mapping) else headers
    combined: dict[str, str] = {}
    for name, value in lines:
        key = name.lower()
        combined[key] = f"{combined[key]}, {value.strip()}" if key in combined else value.strip()
    return combined


def _directory_url(base_url: str) -> httpx2.URL:
    return httpx2.URL(base_url).join(DIRECTORY_PATH)


def _unreachable(base_url: str, exc: Exception) -> TransportError:
    return TransportError(
        f"The key directory of {base_url} could not be fetched: {exc or type(exc).__name__}."
    )
