"""Signing as an httpx2.Auth: usable with any httpx2 client, synchronous or asynchronous."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Final

import httpx2

from ._upload import FileBody
from .challenge import DemandCache, SignatureDemand, parse_accept_signature
from .errors import SigningError
from .signing import NEW_KEY_TAG, Credentials, RequestSigner

#: Where the auth notes, on the request, for which URL its signature was made.
SIGNED_URL_EXTENSION: Final = "datafold_sdk.signed_url"
#: Refusals that signing in another way cannot turn into a pass. NONCE_REUSED is among them because a
#: fresh nonce was sent: then something between repeats requests, and another try may act twice.
FINAL_REFUSALS: Final = frozenset(
    {
        "NONCE_REUSED",
        "TIMESTAMP_IN_FUTURE",
        "SIGNATURE_EXPIRED",
        "DIGEST_MISMATCH",
        "CLIENT_NOT_FOUND",
        "CLIENT_SUSPENDED",
        "KEY_NOT_ACTIVE",
        "KEY_EXPIRED",
        "KEY_REVOKED",
        "NETWORK_NOT_ALLOWED",
        "REPLAY_CHECK_UNAVAILABLE",
    }
)


class SignatureAuth(httpx2.Auth):
    """Signs every request afresh; on a 401 that asks for more, signs as asked and tries once more.

    The whole body is read into memory before it is signed, unless it is a file that the client sends. A
    second attempt is made only for the same request, to the same origin, only if the server's
    Accept-Signature asks for something else than was signed, and never covers less than the profile requires.

    A plain client that follows redirects copies header fields to wherever it is sent. Give it
    `event_hooks={"request": [SignatureAuth.drop_stale_signature]}` (`drop_stale_signature_async` for an
    AsyncClient), or leave redirects off, which is httpx2's default.

    Args:
        credentials: who signs.
        origin: the only origin that gets signatures, such as "https://datafold.example"; requests to any
            other go out unsigned. By default every origin is signed for.
        demands: remembers what the server asked for; None: every refusal is learned anew.
        clock: gives the present as seconds since the epoch.
    """

    requires_request_body = True

    def __init__(
        self,
        credentials: Credentials,
        *,
        origin: str | None = None,
        demands: DemandCache | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.credentials = credentials
        self._origin = httpx2.URL(origin).origin if origin else None
        self._demands = demands
        self._signers = [RequestSigner(credentials, clock=clock)]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.credentials.key_id} {self.credentials.private_key!r}>"

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Sign, send, and on a demand that can be met sign and send once more (RFC 9421 section 5)."""
        if self._origin is not None and request.url.origin != self._origin:
            yield request
            return
        signed = self._sign_as_remembered(request)
        response = yield request
        if response.status_code != httpx2.codes.UNAUTHORIZED:
            return
        demand = self._new_demand(request, response, signed)
        if demand is None:
            return
        try:
            self._sign(request, demand)
        except SigningError:
            return  # It cannot be met after all: the refusal stands, and says why.
        response = yield request
        self._learn(request, response, demand)

    def sync_auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """`auth_flow` for Client: a 401 is read, since its code decides about the second attempt."""
        if not isinstance(request.stream, FileBody):
            request.read()
        flow = self.auth_flow(request)
        request = next(flow)
        while True:
            response = yield request
            if response.status_code == httpx2.codes.UNAUTHORIZED:
                response.read()
            try:
                request = flow.send(response)
            except StopIteration:
                return

    async def async_auth_flow(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """`auth_flow` for AsyncClient."""
        if not isinstance(request.stream, FileBody):
            await request.aread()
        flow = self.auth_flow(request)
        request = next(flow)
        while True:
            response = yield request
            if response.status_code == httpx2.codes.UNAUTHORIZED:
                await response.aread()
            try:
                request = flow.send(response)
            except StopIteration:
                return

    @staticmethod
    def drop_stale_signature(request: httpx2.Request) -> None:
        """Request hook for Client: remove a signature that was made for another URL."""
        signed_url = request.extensions.get(SIGNED_URL_EXTENSION)
        if signed_url is not None and signed_url != f"{request.method} {request.url}":
            for name in ("Signature", "Signature-Input"):
                request.headers.pop(name, None)

    @staticmethod
    async def drop_stale_signature_async(request: httpx2.Request) -> None:
        """Request hook for AsyncClient: remove a signature that was made for another URL."""
        SignatureAuth.drop_stale_signature(request)

    def _sign_as_remembered(self, request: httpx2.Request) -> frozenset[object]:
        """Sign as the server asked for earlier, where that fits this request too."""
        demand = self._recall(request)
        try:
            return self._sign(request, demand)
        except SigningError:
            if demand is None:
                raise
            return self._sign(request, None)

    def _sign(self, request: httpx2.Request, demand: SignatureDemand | None) -> frozenset[object]:
        """Put every signature on the request; tell what the first one satisfies."""
        taken: list[str] = []
        for number, signer in enumerate(self._signers, start=1):
            label = demand.label if demand and number == 1 else _free_label(number, taken)
            signer.sign(
                request, label=label, demand=demand if number == 1 else _shared(demand), append=bool(taken)
            )
            taken.append(label)
        request.extensions[SIGNED_URL_EXTENSION] = f"{request.method} {request.url}"
        return self._satisfied(request, demand)

    def _satisfied(self, request: httpx2.Request, demand: SignatureDemand | None) -> frozenset[object]:
        extras = {("expires",)} if demand and demand.expires else set()
        return frozenset(self._signers[0].components(request, demand)) | frozenset(extras)

    def _new_demand(
        self, request: httpx2.Request, response: httpx2.Response, signed: frozenset[object]
    ) -> SignatureDemand | None:
        """What this refusal asks for, if it can be met and differs from what was sent."""
        if response.request.url != request.url or response.request.method != request.method:
            return None
        if _error_code(response) in FINAL_REFUSALS:
            return None
        demand = parse_accept_signature(response.headers.get("Accept-Signature"), tag=self.credentials.tag)
        if demand is None or not self._can_meet(request, demand):
            return None
        return demand if demand.nonce or self._satisfied(request, demand) != signed else None

    def _can_meet(self, request: httpx2.Request, demand: SignatureDemand) -> bool:
        if demand.keyid not in (None, self.credentials.key_id):
            return False
        if demand.algorithm not in (None, self.credentials.private_key.algorithm):
            return False
        fields = [name for name in self._signers[0].components(request, demand) if not _is_derived(name)]
        return all(
            _field_name(name) in request.headers or _field_name(name) == "content-digest" for name in fields
        )

    def _recall(self, request: httpx2.Request) -> SignatureDemand | None:
        demand = self._demands.get(_demand_key(request)) if self._demands is not None else None
        return demand if demand is not None and self._can_meet(request, demand) else None

    def _learn(self, request: httpx2.Request, response: httpx2.Response, demand: SignatureDemand) -> None:
        if self._demands is None:
            return
        if response.status_code == httpx2.codes.UNAUTHORIZED:
            self._demands.forget(_demand_key(request))
        else:
            self._demands.remember(_demand_key(request), demand)


class RotationAuth(SignatureAuth):
    """Signs one request twice: with the key in use, and with the key that is to follow it.

    The second signature carries the tag `datafold-new-key` and the new key's thumbprint as its keyid, and
    covers the same components, so that each key vouches for the very same request.
    """

    def __init__(
        self,
        credentials: Credentials,
        successor: Credentials,
        *,
        origin: str | None = None,
        demands: DemandCache | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(credentials, origin=origin, demands=demands, clock=clock)
        new_key = Credentials.of_key(successor.private_key, tag=NEW_KEY_TAG, profile=credentials.profile.name)
        self._signers.append(RequestSigner(new_key, clock=clock))


def _free_label(number: int, taken: list[str]) -> str:
    label = f"sig{number}"
    return label if label not in taken else f"{label}-new"


def _shared(demand: SignatureDemand | None) -> SignatureDemand | None:
    """A second signature covers the same, but a nonce that the server chose belongs to the first."""
    if demand is None:
        return None
    return SignatureDemand(demand.label, demand.components, expires=demand.expires)


def _demand_key(request: httpx2.Request) -> tuple[object, ...]:
    return request.method, request.url.origin, request.url.path


def _is_derived(component: str) -> bool:
    return component.lstrip('"').startswith("@")


def _field_name(component: str) -> str:
    return component.split('"')[1] if component.startswith('"') else component


def _error_code(response: httpx2.Response) -> str | None:
    """The envelope's error code of a response that has been read; None for any other body."""
    try:
        return str(json.loads(response.content)["error"]["code"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
