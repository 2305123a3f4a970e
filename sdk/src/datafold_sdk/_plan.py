"""What both clients decide without touching the network."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import httpx2

from . import errors
from ._version import __version__
from .auth import RotationAuth, SignatureAuth
from .challenge import DemandCache
from .operations import Call
from .refusals import JSONObject, read_response, redirect_refused
from .signing import Credentials, SigningMode
from .verification import ACCEPT_RESPONSE_SIGNATURE, ServerKeys, verify_response

MAX_REDIRECTS: Final = 5


class Plan:
    """The settings of a client and what follows from them for each call."""

    def __init__(
        self,
        base_url: str,
        *,
        signing_mode: SigningMode = SigningMode.AUTO,
        enable_signature_cache: bool = True,
        signature_cache_ttl: float = 300.0,
        max_cache_size: int = 1000,
        timeout: float | None = 30.0,
        verify: Any = True,
        server_keys: ServerKeys | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.base_url = _checked_base_url(base_url)
        self.mode = _checked_mode(signing_mode)
        self.credentials: Credentials | None = None
        self.server_keys = server_keys
        self.clock = clock
        self.demands = (
            DemandCache(ttl=signature_cache_ttl, max_size=max_cache_size) if enable_signature_cache else None
        )
        self.transport_options: dict[str, Any] = {
            "base_url": self.base_url,
            "timeout": timeout,
            "verify": verify,
            "follow_redirects": False,
            "headers": {"Accept": "application/json", "User-Agent": f"datafold-sdk/{__version__}"},
        }

    def configure(self, config: Mapping[str, Any] | Credentials) -> None:
        self.credentials = config if isinstance(config, Credentials) else Credentials.from_mapping(config)

    def require_credentials(self) -> Credentials:
        if self.credentials is None:
            raise errors.ConfigurationError(
                "This call must be signed, but no credentials are configured. "
                "Call configure_signing({'key_id': …, 'private_key': …}) first."
            )
        return self.credentials

    def auth_for(self, call: Call) -> httpx2.Auth | None:
        """Who signs this call; None sends it unsigned."""
        options: dict[str, Any] = {"origin": str(self.base_url), "demands": self.demands, "clock": self.clock}
        if call.possession_of is not None:
            return SignatureAuth(call.possession_of, **options)
        if not self._wants_signature(call):
            return None
        credentials = self.require_credentials()
        if call.successor is not None:
            return RotationAuth(credentials, call.successor, **options)
        return SignatureAuth(credentials, **options)

    def _wants_signature(self, call: Call) -> bool:
        if self.mode is SigningMode.NEVER:
            if call.sign:
                raise errors.ConfigurationError(
                    f"{call.method} {call.path} must be signed, but this client's signing_mode is NEVER."
                )
            return False
        if call.sign is not None:
            return call.sign
        if self.mode is SigningMode.AUTO:
            return self.credentials is not None
        return self.mode is SigningMode.ALWAYS

    def request_arguments(self, call: Call) -> dict[str, Any]:
        if not call.path.startswith("/") or call.path.startswith("//"):
            raise errors.ConfigurationError(
                f"{call.path!r} is not a path below {self.base_url}: it must start with one slash."
            )
        if not (call.method.isascii() and call.method.isalpha()):
            raise errors.ConfigurationError(f"{call.method!r} is not a method of HTTP.")
        headers = dict(call.headers or {})
        if call.file is not None:
            headers |= call.file.headers
        if self.server_keys is not None:
            headers |= {"Accept-Signature": ACCEPT_RESPONSE_SIGNATURE, "Accept-Encoding": "identity"}
        return {
            "method": call.method,
            "url": call.path,
            "content": _json_bytes(call.json, headers),
            "params": call.params or None,
            "headers": headers,
        }

    def follow(self, request: httpx2.Request, response: httpx2.Response, hops: int) -> httpx2.Request | None:
        """The read that a redirect asks for, to be signed afresh; None if the answer is final.

        Nobody signs a redirect. A write that followed one would be signed for a path that somebody between
        chose, and a signed answer would answer another question than the caller's.

        Raises:
            RedirectRefusedError: it is for a write, or where answers must be signed; it leads to another
                origin, or never ends.
        """
        if not response.has_redirect_location:
            return None
        may_follow = request.method in ("GET", "HEAD") and self.server_keys is None
        try:
            target = request.url.join(response.headers["Location"])
            same_origin = target.origin == request.url.origin
        except (httpx2.InvalidURL, ValueError):
            raise redirect_refused(response) from None
        if not may_follow or not same_origin or hops > MAX_REDIRECTS:
            raise redirect_refused(response)
        headers = [
            (k, v) for k, v in request.headers.multi_items() if k not in ("signature", "signature-input")
        ]
        return httpx2.Request(
            request.method,
            target,
            headers=headers,
            content=request.content,
            extensions=dict(request.extensions),
        )

    def finish(self, call: Call, response: httpx2.Response) -> JSONObject:
        if self.server_keys is not None and response.is_success:
            verify_response(response, self.server_keys)
        answer = read_response(response, clock=self.clock)
        if call.on_success is not None:
            call.on_success(answer)
        return answer


@contextmanager
def transport_errors(call: Call, base_url: httpx2.URL) -> Iterator[None]:
    """Turn whatever httpx2 raises into this package's errors."""
    what = f"{call.method} {call.path}"
    try:
        yield
    except httpx2.TimeoutException as exc:
        raise errors.RequestTimeoutError(
            f"{base_url} did not answer {what} in time ({type(exc).__name__}). "
            "Whether it took effect is not known: look before you repeat a write."
        ) from exc
    except httpx2.ConnectError as exc:
        raise errors.TransportError(
            f"{base_url} cannot be reached: {exc or 'connection failed'}. Is it running? Is base_url right?"
        ) from exc
    except (httpx2.RequestError, httpx2.StreamError) as exc:
        raise errors.TransportError(f"{what} at {base_url} failed: {exc or type(exc).__name__}.") from exc
    except httpx2.InvalidURL as exc:
        raise errors.ConfigurationError(f"{call.path!r} cannot be a part of a URL: {exc}") from exc
    except UnicodeEncodeError as exc:
        # `from None`: the original would quote a header field, which may hold a secret.
        raise errors.ConfigurationError(
            f"{what!r} cannot be sent: a part of it, or of its headers, cannot be written as {exc.encoding}."
        ) from None


def _checked_base_url(base_url: str) -> httpx2.URL:
    try:
        url = httpx2.URL(base_url)
    except (httpx2.InvalidURL, TypeError) as exc:
        raise errors.ConfigurationError(f"base_url is not a URL: {exc}") from exc
    if url.scheme not in ("http", "https") or not url.host:
        raise errors.ConfigurationError(
            f"base_url must start with http:// or https:// and name a host, not {base_url!r}."
        )
    if url.userinfo or url.query or url.fragment:
        raise errors.ConfigurationError("base_url must have no user, query or fragment.")
    return url


def _checked_mode(mode: SigningMode | str) -> SigningMode:
    try:
        return SigningMode(mode)
    except ValueError:
        names = ", ".join(known.name for known in SigningMode)
        raise errors.ConfigurationError(f"The signing_mode {mode!r} is not known. Choose {names}.") from None


def _json_bytes(body: Any, headers: dict[str, str]) -> bytes | None:
    if body is None:
        return None
    headers.setdefault("Content-Type", "application/json")
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as exc:
        raise errors.ConfigurationError(f"The body cannot be sent as JSON: {exc}") from exc
