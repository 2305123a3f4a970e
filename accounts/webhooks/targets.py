"""Where a webhook may go: which URLs, and which addresses their hosts may have.

Pure: the caller resolves the host and hands the addresses in. The rule for addresses is checked on
every delivery, on what the host resolves to then, and the connection is made to the checked address.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from accounts.webhooks.errors import WebhookUrlRefused

MAX_URL = 2000
DEFAULT_PORTS = {"http": 80, "https": 443}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_URL = re.compile(r"(?P<scheme>[A-Za-z]+)://(?P<authority>[^/?#]*)(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?")
_PATH = re.compile(r"/[!$-;=@-Z_a-z~?]*")  # visible ASCII without " # < > [ \ ] ^ ` { | }
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

# IANA's special-purpose registries, and what clouds keep for themselves.
_CLOSED_V4 = [
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's host, from every virtual machine
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
]
# Of IPv6 only global unicast, which leaves out loopback, unique local, link-local, multicast, IPv4-mapped
# (::ffff:0:0/96), IPv4-compatible (::/96) and NAT64 (64:ff9b::/96, 64:ff9b:1::/48) as they are.
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_CLOSED_V6 = [
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # Teredo, ORCHID, benchmarking, …
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "3fff::/20",
    )
]


@dataclass(frozen=True, slots=True)
class Target:
    """A URL in its normal form: scheme and host in lower case, default port left out, path at least "/".

    Args:
        host: name or literal address, an IPv6 one without brackets.
        authority: as it stands in `Host`.
        raw_target: path and query, as they go on the wire.
    """

    scheme: str
    host: str
    port: int
    authority: str
    raw_target: str

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.raw_target}"

    @property
    def shown_url(self) -> str:
        """Without the query: receivers keep secrets in it."""
        path, mark, _ = self.raw_target.partition("?")
        return f"{self.scheme}://{self.authority}{path}{'?…' if mark else ''}"


def parse_target(
    url: str, *, schemes: Collection[str], ports: Collection[int], exceptions: Sequence[Network] = ()
) -> Target:
    """Read a subscription's URL.

    Args:
        url: absolute, as the subscriber wrote it.
        schemes: of "http" and "https".
        ports: where a webhook may go; those of hosts in `exceptions` as well.
        exceptions: networks that are let through although they are not public.

    Raises:
        WebhookUrlRefused
    """
    match = _URL.fullmatch(url) if len(url) <= MAX_URL else None
    if match is None:
        raise WebhookUrlRefused(
            f"This is not an absolute URL of at most {MAX_URL} characters without a fragment. Write it like "
            "https://hooks.example.com/datafold."
        )
    scheme = match["scheme"].lower()
    if scheme not in schemes:
        raise WebhookUrlRefused(
            f"Webhooks go to {' or '.join(sorted(schemes))} only.", scheme=scheme, schemes=sorted(schemes)
        )
    raw_target = (match["path"] or "/") + (match["query"] or "")
    if _PATH.fullmatch(raw_target) is None:
        raise WebhookUrlRefused("Path or query hold characters that must be percent-encoded.")
    host, port = _host_and_port(match["authority"], DEFAULT_PORTS[scheme])
    literal = literal_address(host)
    if literal is not None and not is_allowed(literal, exceptions):
        raise WebhookUrlRefused(
            "Webhooks never go to loopback, private, link-local, shared, multicast or reserved addresses. Give a host "
            "that is reached over the internet."
        )
    if port not in ports:
        raise WebhookUrlRefused(
            f"Webhooks do not go to port {port}. The operators set which ports they go to.",
            port=port,
            ports=sorted(ports),
        )
    bracketed = f"[{host}]" if ":" in host else host
    authority = bracketed if port == DEFAULT_PORTS[scheme] else f"{bracketed}:{port}"
    return Target(scheme, host, port, authority, raw_target)


def literal_address(host: str) -> Address | None:
    """The address that the host is written as, or None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_allowed(address: Address, exceptions: Iterable[Network] = ()) -> bool:
    """Whether a webhook may be sent to the address."""
    if any(address.version == network.version and address in network for network in exceptions):
        return True
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not any(address in network for network in _CLOSED_V4)
    return (
        address.scope_id is None
        and address.is_global
        and address in _GLOBAL_V6
        and not any(address in network for network in _CLOSED_V6)
    )


def addresses_to_use(raw_addresses: Iterable[str], exceptions: Sequence[Network] = ()) -> list[Address]:
    """What a host resolved to, if all of it may be sent to; [] if anything may not, or there is nothing.

    One bad address spoils the rest: a host that names a private address beside a public one is set up
    to be tried again.
    """
    addresses = []
    for raw in raw_addresses:
        address = literal_address(raw)
        if address is None or not is_allowed(address, exceptions):
            return []
        addresses.append(address)
    return addresses


def _host_and_port(authority: str, default_port: int) -> tuple[str, int]:
    if "@" in authority:
        raise WebhookUrlRefused("The URL holds a user name or password. Leave them out.")
    bracketed = re.fullmatch(r"\[([0-9A-Fa-f:.]{2,45})\](?::([0-9]{1,5}))?", authority)
    plain = re.fullmatch(r"([A-Za-z0-9._-]{1,253})(?::([0-9]{1,5}))?", authority)
    match = bracketed or plain
    if match is None:
        raise WebhookUrlRefused(
            "The host is not a plain name or address with an optional port. Write an internationalised name as xn--…."
        )
    host = match[1].lower()
    port = int(match[2]) if match[2] else default_port
    if not 1 <= port <= 65535:
        raise WebhookUrlRefused(f"{port} is not a port.")
    address = literal_address(host)
    if address is not None and (address.version == 6) == bool(bracketed):
        return address.compressed, port
    labels = host.split(".")
    # A last label that is a number makes some parsers read an address: 127.1, 2130706433, 0x7f.0.0.1.
    if bracketed or _NUMBER.fullmatch(labels[-1]) or not all(_LABEL.fullmatch(label) for label in labels):
        raise WebhookUrlRefused("The host is neither a name nor an address in its usual form.")
    return host, port
