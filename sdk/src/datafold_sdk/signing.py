"""Who signs, what is covered, and one signature (RFC 9421 section 3.1), by http-message-signatures."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final

import httpx2
from http_message_signatures import HTTPMessageSignaturesException, HTTPMessageSigner, MappingKeyResolver
from http_message_signatures.httpx2 import adapt_message

from ._upload import FileBody, has_body
from .challenge import SignatureDemand, component_identity
from .errors import ConfigurationError, SigningError
from .keys import ALGORITHMS, KeyMaterial, PrivateKey

#: Marks a signature as meant for DataFold (RFC 9421 section 2.3, `tag`).
SIGNATURE_TAG: Final = "datafold"
#: Marks the new key's signature on a rotation request.
NEW_KEY_TAG: Final = "datafold-new-key"


class SigningMode(Enum):
    """When a client signs.

    AUTO signs as soon as credentials are configured. ALWAYS refuses to send anything without them.
    NEVER does not sign. MANUAL signs only the calls made with `sign=True`.
    """

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"
    MANUAL = "manual"
    REQUIRED = "always"  # noqa: PIE796 - an alias, for those who look for this word
    DISABLED = "never"  # noqa: PIE796 - an alias, for those who look for this word


@dataclass(frozen=True)
class Profile:
    """What a signature has to cover, and for how long it counts; the same table as the server's.

    Attributes:
        components: always covered.
        body_components: covered besides when the request has a body.
        window: seconds for which the server takes a signature after its `created`.
    """

    name: str
    components: tuple[str, ...]
    body_components: tuple[str, ...]
    window: int

    def required(self, *, has_body: bool) -> tuple[str, ...]:
        """The components that a request must cover, in the order in which they are signed."""
        return self.components + (self.body_components if has_body else ())


PROFILES: Final[dict[str, Profile]] = {
    "strict": Profile(
        "strict", ("@method", "@target-uri", "@authority"), ("content-type", "content-digest"), 60
    ),
    "standard": Profile("standard", ("@method", "@target-uri"), ("content-type", "content-digest"), 300),
    "lenient": Profile("lenient", ("@method", "@target-uri"), ("content-digest",), 600),
}


@dataclass(frozen=True)
class Credentials:
    """What a client signs with: a name for the key, the key, and the profile that says what is covered.

    Attributes:
        key_id: the signature's `keyid`: the client_id, or the key's RFC 7638 thumbprint.
        private_key: never shown by repr.
        profile: strict, standard or lenient.
        tag: the signature's `tag`.
    """

    key_id: str
    private_key: PrivateKey
    profile: Profile = PROFILES["standard"]
    tag: str = SIGNATURE_TAG

    @classmethod
    def create(
        cls,
        *,
        key_id: str,
        private_key: KeyMaterial | PrivateKey,
        algorithm: str | None = None,
        profile: str = "standard",
    ) -> Credentials:
        """Read and check the four settings of `configure_signing`.

        Raises:
            ConfigurationError: the key_id or the profile is not usable.
            InvalidKeyError: the key cannot be read or does not fit the algorithm.
        """
        if not isinstance(key_id, str) or not key_id or not key_id.isascii() or not key_id.isprintable():
            raise ConfigurationError(
                "key_id must be a client_id or a key's thumbprint: printable ASCII text."
            )
        if profile not in PROFILES:
            raise ConfigurationError(f"The profile {profile!r} is not known. Choose {', '.join(PROFILES)}.")
        return cls(key_id, PrivateKey.load(private_key, algorithm), PROFILES[profile])

    @classmethod
    def from_mapping(cls, config: Mapping[str, Any]) -> Credentials:
        """Read `{'algorithm', 'key_id', 'private_key', 'profile'}`; algorithm and profile may be left out."""
        missing = {"key_id", "private_key"} - set(config)
        unknown = set(config) - {"algorithm", "key_id", "private_key", "profile"}
        if missing or unknown:
            problems = [f"missing: {', '.join(sorted(missing))}"] if missing else []
            problems += [f"unknown: {', '.join(sorted(map(str, unknown)))}"] if unknown else []
            raise ConfigurationError(f"The signing configuration is not complete ({'; '.join(problems)}).")
        return cls.create(**config)

    @classmethod
    def of_key(
        cls, private_key: PrivateKey, *, tag: str = SIGNATURE_TAG, profile: str = "standard"
    ) -> Credentials:
        """Credentials of a key that speaks for itself: its keyid is its own thumbprint."""
        return cls(private_key.thumbprint, private_key, PROFILES[profile], tag)

    def with_key(self, private_key: PrivateKey) -> Credentials:
        """The same identity with another key."""
        old_thumbprint = self.private_key.thumbprint
        key_id = private_key.thumbprint if self.key_id == old_thumbprint else self.key_id
        return replace(self, key_id=key_id, private_key=private_key)


class RequestSigner:
    """Puts one fresh signature on a request: `created` now, a new 192-bit nonce, never a stored result.

    Args:
        credentials: who signs.
        clock: gives the present as seconds since the epoch.
        new_nonce: gives a nonce that was never given before.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        clock: Callable[[], float],
        new_nonce: Callable[[], str] = lambda: secrets.token_urlsafe(24),
    ) -> None:
        self.credentials = credentials
        self._clock = clock
        self._new_nonce = new_nonce
        self._signer = HTTPMessageSigner(
            signature_algorithm=ALGORITHMS[credentials.private_key.algorithm],
            key_resolver=MappingKeyResolver(
                public_keys={}, private_keys={credentials.key_id: credentials.private_key.key}
            ),
        )

    def components(self, request: httpx2.Request, demand: SignatureDemand | None) -> tuple[str, ...]:
        """What to cover: what the server asked for, and never less than the profile requires."""
        body = has_body(request)
        required = self.credentials.profile.required(has_body=body)
        if demand is None:
            return required
        # A server may list the body's components for calls that happen to have no body.
        absent = () if body else ("content-type", "content-digest")
        asked = tuple(name for name in demand.components if name not in absent)
        covered = {component_identity(name) for name in asked}
        return asked + tuple(name for name in required if component_identity(name) not in covered)

    def sign(
        self,
        request: httpx2.Request,
        *,
        label: str,
        demand: SignatureDemand | None = None,
        append: bool = False,
    ) -> None:
        """Sign a request whose body has been read, in place.

        Args:
            label: the signature's label.
            demand: what the server's Accept-Signature asked for.
            append: keep the signatures that the request carries already.

        Raises:
            SigningError: a component cannot be covered.
        """
        components = self.components(request, demand)
        _check_coverable(request, components)
        now = self._clock()
        try:
            self._signer.sign(
                adapt_message(request),
                key_id=self.credentials.key_id,
                created=datetime.fromtimestamp(int(now), UTC),
                expires=self._expires(now) if demand and demand.expires else None,
                nonce=demand.nonce if demand and demand.nonce else self._new_nonce(),
                label=label,
                tag=self.credentials.tag,
                covered_component_ids=components,
                append_if_signature_exists=append,
                body=None if isinstance(request.stream, FileBody) else request.content or None,
                use_existing_digest="content-digest" in request.headers,
            )
        except (HTTPMessageSignaturesException, ValueError, TypeError, KeyError) as exc:
            raise SigningError(f"{request.method} {request.url} cannot be signed: {exc}.") from exc

    def _expires(self, now: float) -> datetime:
        return datetime.fromtimestamp(int(now) + self.credentials.profile.window, UTC)


def _check_coverable(request: httpx2.Request, components: Sequence[str]) -> None:
    if "content-type" in components and "content-type" not in request.headers:
        raise SigningError(
            "The request has a body but no Content-Type, which the signature must cover. "
            "Send json=…, or set the Content-Type header."
        )
    if any(char in request.url.raw_path for char in b"[]|^\\`{}"):
        raise SigningError(
            "The URL holds characters that must be percent-encoded ([ ] | ^ \\ ` { }) before it is signed. "
            "Use params=… for the query, or urllib.parse.quote for a path segment."
        )
