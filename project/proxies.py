"""Which address and which origin a request has, when proxies may stand in between.

Forwarding fields count only from `DATAFOLD_TRUSTED_PROXIES`; from anyone else they are ignored.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest

Network = IPv4Network | IPv6Network


@lru_cache(maxsize=16)
def parse_networks(networks: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(parse_network(network) for network in networks)


def parse_network(network: str) -> Network:
    """The network, of IPv4 where it is one that is written as IPv6 (::ffff:10.0.0.0/104). Raises ValueError."""
    parsed = ip_network(network, strict=False)
    if isinstance(parsed, IPv6Network) and parsed.prefixlen >= 96:
        mapped = parsed.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, parsed.prefixlen - 96))
    return parsed


def plain_address(address: str) -> str:
    """The IPv4 address of a caller that a socket for both families names as IPv6 (::ffff:10.0.0.1)."""
    if ":" not in address:
        return address
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return address if mapped is None else str(mapped)


def in_networks(address: str, networks: list[str]) -> bool:
    """Whether `address` lies in one of the CIDR `networks`; an unreadable address does not."""
    if not networks:
        return False
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in parse_networks(tuple(networks)))


def from_trusted_proxy(request: HttpRequest) -> bool:
    return in_networks(request.META.get("REMOTE_ADDR", ""), settings.DATAFOLD_TRUSTED_PROXIES)


def client_address(request: HttpRequest) -> str:
    """The caller's IP address: the nearest hop that is not one of our proxies."""
    return address_behind(request.META.get("REMOTE_ADDR", ""), request.META.get("HTTP_X_FORWARDED_FOR", ""))


def address_behind(address: str, forwarded_for: str) -> str:
    """Whose request a connection from `address` brings, if its X-Forwarded-For is `forwarded_for`."""
    if not in_networks(address, settings.DATAFOLD_TRUSTED_PROXIES):
        return address
    for hop in reversed(forwarded_for.split(",")[-20:]):
        candidate = plain_address(hop.strip())
        try:
            ip_address(candidate)
        except ValueError:
            return address
        address = candidate
        if not in_networks(address, settings.DATAFOLD_TRUSTED_PROXIES):
            break
    return address


def caller_of(address: str, forwarded_for: str) -> str:
    """Whom limits and turns count for, of a connection from `address`."""
    return caller_network(address_behind(address, forwarded_for))


def caller_network(address: str) -> str:
    """What limits count by: the IPv4 address, or the /64 that an IPv6 caller chooses its addresses from."""
    address = plain_address(address)
    if ":" not in address:
        return address
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return ":".join(parsed.exploded.split(":")[:4])


def wire_scheme(request: HttpRequest) -> str:
    """ "http" or "https": the connection's, or what a trusted proxy says of its own."""
    if from_trusted_proxy(request):
        forwarded = request.META.get("HTTP_X_FORWARDED_PROTO", "").strip().lower()
        if forwarded in ("http", "https"):
            return str(forwarded)
    return str(request.META.get("wsgi.url_scheme", "http"))


def wire_host(request: HttpRequest) -> str:
    """The Host field's value, or what a trusted proxy says that it was."""
    if from_trusted_proxy(request):
        forwarded = request.META.get("HTTP_X_FORWARDED_HOST", "").strip()
        if forwarded and "," not in forwarded:
            return str(forwarded)
    return str(request.META.get("HTTP_HOST", ""))


@lru_cache(maxsize=16)
def _origins(origins: tuple[str, ...]) -> dict[str, str]:
    """authority (lower case, default port dropped) → scheme"""
    table = {}
    for origin in origins:
        parts = urlsplit(origin)
        default = {"http": 80, "https": 443}.get(parts.scheme)
        port = "" if parts.port in (None, default) else f":{parts.port}"
        table[f"{(parts.hostname or '').lower()}{port}"] = parts.scheme
    return table


def public_origins() -> dict[str, str]:
    """The configured origins of this server as authority → scheme; empty when none is configured."""
    return _origins(tuple(settings.DATAFOLD_PUBLIC_ORIGINS))
