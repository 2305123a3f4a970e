"""The clients: one synchronous, one asynchronous, of the same shape."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from itertools import count
from types import TracebackType
from typing import Any, Self

import httpx2

from ._plan import Plan, transport_errors
from ._upload import with_file
from .operations import Call, Operations
from .refusals import JSONObject
from .signing import Credentials, SigningMode


class _Configurable:
    """The settings that both clients show."""

    _plan: Plan

    @property
    def base_url(self) -> str:
        """Where the server is."""
        return str(self._plan.base_url)

    @property
    def signing_mode(self) -> SigningMode:
        """When this client signs."""
        return self._plan.mode

    @property
    def credentials(self) -> Credentials | None:
        """What this client signs with, if configured; its repr shows no private key."""
        return self._plan.credentials

    def configure_signing(self, config: Mapping[str, Any] | Credentials) -> None:
        """Set what to sign with.

        Args:
            config: Credentials, or a mapping with `key_id` (the client_id) and `private_key` (32 raw
                bytes, 64 hexadecimal characters, or PEM), and optionally `algorithm` (by default the one
                that fits the key) and `profile` (strict, standard or lenient; standard by default).

        Raises:
            ConfigurationError: a member is missing, unknown or not usable.
            InvalidKeyError: the key cannot be read or does not fit the algorithm.
        """
        self._plan.configure(config)

    def _require_credentials(self) -> Credentials:
        return self._plan.require_credentials()

    def _replace_credentials(self, credentials: Credentials) -> None:
        self._plan.credentials = credentials

    def __repr__(self) -> str:
        signer = self._plan.credentials.key_id if self._plan.credentials else "unsigned"
        return f"<{type(self).__name__} {self.base_url} {signer}>"


class DataFoldClient(_Configurable, Operations[JSONObject]):
    """A synchronous client. Safe to share between threads.

    Args:
        base_url: where the server is, such as "https://datafold.example".
        signing_mode: when to sign; AUTO signs once credentials are configured.
        enable_signature_cache: remember what the server asked to be signed (see DemandCache). Signatures
            themselves are never kept: each is valid once.
        signature_cache_ttl: seconds for which that is remembered.
        max_cache_size: how many such demands are remembered.
        timeout: seconds for each of connecting, writing and reading; None waits for ever.
        verify: an ssl.SSLContext or False, as httpx2 takes it.
        server_keys: ask for signed answers and check them with these keys; an unsigned success is an error.
        transport: an httpx2 transport to use instead of the network.
    """

    def __init__(
        self, base_url: str, *, transport: httpx2.BaseTransport | None = None, **options: Any
    ) -> None:
        self._plan = Plan(base_url, **options)
        self._http = httpx2.Client(transport=transport, **self._plan.transport_options)

    def _perform(self, call: Call) -> JSONObject:
        arguments, auth = self._plan.request_arguments(call), self._plan.auth_for(call)
        with transport_errors(call, self._plan.base_url):
            request = with_file(self._http.build_request(**arguments), call.file)
            response = self._http.send(request, auth=auth)
            for hops in count(1):
                following = self._plan.follow(request, response, hops)
                if following is None:
                    break
                request = following
                response = self._http.send(request, auth=auth)
        return self._plan.finish(call, response)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncDataFoldClient(_Configurable, Operations[Coroutine[Any, Any, JSONObject]]):
    """An asynchronous client; every method is awaited. Arguments as for DataFoldClient.

    It may be made outside any event loop and used from several: each loop gets connections of its own.
    """

    def __init__(
        self, base_url: str, *, transport: httpx2.AsyncBaseTransport | None = None, **options: Any
    ) -> None:
        self._plan = Plan(base_url, **options)
        self._transport = transport
        self._per_loop: dict[asyncio.AbstractEventLoop, httpx2.AsyncClient] = {}

    def _perform(self, call: Call) -> Coroutine[Any, Any, JSONObject]:
        return self._send(call)

    async def _send(self, call: Call) -> JSONObject:
        if call.file is not None:
            await asyncio.to_thread(lambda: call.file and call.file.headers)  # reads the file, so not here
        arguments, auth = self._plan.request_arguments(call), self._plan.auth_for(call)
        http = self._http()
        with transport_errors(call, self._plan.base_url):
            request = with_file(http.build_request(**arguments), call.file)
            response = await http.send(request, auth=auth)
            for hops in count(1):
                following = self._plan.follow(request, response, hops)
                if following is None:
                    break
                request = following
                response = await http.send(request, auth=auth)
        return self._plan.finish(call, response)

    def _http(self) -> httpx2.AsyncClient:
        """The connections of the running loop: they cannot outlive it, nor be used from another."""
        loop = asyncio.get_running_loop()
        client = self._per_loop.get(loop)
        if client is None:
            self._per_loop = {known: kept for known, kept in self._per_loop.items() if not known.is_closed()}
            client = httpx2.AsyncClient(transport=self._transport, **self._plan.transport_options)
            self._per_loop[loop] = client
        return client

    async def aclose(self) -> None:
        """Close the running loop's connections."""
        client = self._per_loop.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    async def close(self) -> None:
        """The same as `aclose`."""
        await self.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def create_http_client(base_url: str, **options: Any) -> DataFoldClient:
    """Make a synchronous client; options as for DataFoldClient."""
    return DataFoldClient(base_url, **options)


def create_enhanced_http_client(base_url: str, **options: Any) -> AsyncDataFoldClient:
    """Make an asynchronous client; options as for DataFoldClient."""
    return AsyncDataFoldClient(base_url, **options)
