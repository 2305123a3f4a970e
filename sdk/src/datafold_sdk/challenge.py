"""Accept-Signature (RFC 9421 section 5): what a server asks to be signed, and remembering it."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import http_sf

MAX_FIELD_LENGTH: Final = 4096
MAX_COMPONENTS: Final = 32
MAX_NONCE_LENGTH: Final = 256
#: Derived components that a request has (RFC 9421 section 2.2).
REQUEST_COMPONENTS: Final = frozenset(
    {
        "@method",
        "@target-uri",
        "@authority",
        "@scheme",
        "@request-target",
        "@path",
        "@query",
        "@query-param",
    }
)


@dataclass(frozen=True)
class SignatureDemand:
    """One member of an Accept-Signature field that a client can follow.

    Attributes:
        label: the label that the signature must carry.
        components: component identifiers in the order asked for; names, or serialized items where they
            have parameters.
        expires: whether an `expires` parameter is asked for.
        nonce: a nonce to be echoed, if the server chose one.
        keyid, algorithm: the key and the algorithm asked for, if any.
    """

    label: str
    components: tuple[str, ...]
    expires: bool = False
    nonce: str | None = None
    keyid: str | None = None
    algorithm: str | None = None


def parse_accept_signature(field_value: str | None, *, tag: str) -> SignatureDemand | None:
    """Read an Accept-Signature field of a response.

    The field comes from the other side and may be anything: what cannot be followed counts as absent.

    Args:
        field_value: the field's combined value.
        tag: the signature's own tag; a demand for another tag is not followed, since a signature made
            for one purpose must not serve another.

    Returns:
        The demand for this tag; else the only one without a tag; else None.
    """
    if not field_value or len(field_value) > MAX_FIELD_LENGTH or not field_value.isascii():
        return None
    try:
        members: Any = http_sf.parse(field_value.encode("ascii"), tltype="dictionary")
    except (ValueError, TypeError):
        return None
    ours = [item for item in members.items() if _params(item[1]).get("tag") == tag]
    untagged = [item for item in members.items() if "tag" not in _params(item[1])]
    chosen = ours or untagged
    if len(chosen) != 1:
        return None
    return _read_member(*chosen[0])


def component_identity(component: str) -> tuple[str, frozenset[tuple[str, Any]]]:
    """A component's identity: its name and its parameters in any order (RFC 9421 section 2)."""
    if not component.startswith('"'):
        return component, frozenset()
    item: Any = http_sf.parse(component.encode("ascii"), tltype="item")
    return str(item[0]), frozenset(item[1].items())


def _params(member: Any) -> dict[str, Any]:
    return dict(member[1])


def _read_member(label: str, member: Any) -> SignatureDemand | None:
    inner, params = member
    if not isinstance(inner, list) or not 0 < len(inner) <= MAX_COMPONENTS:
        return None
    components = tuple(_component(*item) for item in inner)
    if None in components or len({component_identity(str(c)) for c in components}) != len(components):
        return None
    nonce, keyid, algorithm = (params.get(name) for name in ("nonce", "keyid", "alg"))
    if not all(value is None or isinstance(value, str) for value in (nonce, keyid, algorithm)):
        return None
    if nonce is not None and not 0 < len(nonce) <= MAX_NONCE_LENGTH:
        return None
    return SignatureDemand(
        label=label,
        components=tuple(str(component) for component in components),
        expires=bool(params.get("expires", False)),
        nonce=nonce,
        keyid=keyid,
        algorithm=algorithm,
    )


def _component(name: object, flags: Any) -> str | None:
    """The identifier in the shape that the signer takes, or None if a request has no such component."""
    if not isinstance(name, str) or name != name.lower() or "req" in flags or "tr" in flags:
        return None
    if name.startswith("@") and name not in REQUEST_COMPONENTS:
        return None
    return http_sf.ser((name, flags)) if flags else name


class DemandCache:
    """Remembers what the server asked for, per method, origin and path, so that the next call obeys at once.

    This is all that the "signature cache" of a client holds. Signatures are never stored or used twice:
    each carries a nonce that the server takes once. A nonce that a server chose is not stored either.

    Args:
        ttl: seconds for which a demand is remembered.
        max_size: demands kept; the least recently used goes first.
        clock: a monotonic clock in seconds.
    """

    def __init__(
        self, *, ttl: float = 300.0, max_size: int = 1000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ttl = ttl
        self._max_size = max_size
        self._clock = clock
        self._lock = threading.Lock()
        self._demands: OrderedDict[tuple[object, ...], tuple[float, SignatureDemand]] = OrderedDict()

    def get(self, key: tuple[object, ...]) -> SignatureDemand | None:
        """The demand remembered for (method, origin, path), if it is still fresh."""
        with self._lock:
            entry = self._demands.get(key)
            if entry is None:
                return None
            if entry[0] <= self._clock():
                del self._demands[key]
                return None
            self._demands.move_to_end(key)
            return entry[1]

    def remember(self, key: tuple[object, ...], demand: SignatureDemand) -> None:
        """Remember a demand that led to an answer."""
        with self._lock:
            self._demands[key] = (self._clock() + self._ttl, replace(demand, nonce=None))
            self._demands.move_to_end(key)
            while len(self._demands) > self._max_size:
                self._demands.popitem(last=False)

    def forget(self, key: tuple[object, ...]) -> None:
        """Drop a demand that no longer satisfies the server."""
        with self._lock:
            self._demands.pop(key, None)

    def __len__(self) -> int:
        with self._lock:
            return len(self._demands)
