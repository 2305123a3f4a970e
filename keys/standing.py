"""Whether a client and its key may be used, from here and now.

Asked only after the signature held: what is said here is for the key's holder alone (DESIGN §4).
"""

from __future__ import annotations

from datetime import UTC, datetime

from keys.directory import ClientRecord, KeyRecord
from keys.errors import ClientSuspended, KeyExpired, KeyNotActive, KeyRevoked, NetworkNotAllowed
from keys.models import KeyStatus


def check_standing(
    client: ClientRecord, key: KeyRecord, *, address: str, now: float, networks: bool = True
) -> None:
    """Refuse what state, dates, suspension or network forbid.

    Args:
        address: the caller's IP address.
        now: Unix seconds.
        networks: whether the client's allowed networks bind this use of its key.

    Raises:
        KeyNotActive, KeyExpired, KeyRevoked, ClientSuspended, NetworkNotAllowed
    """
    _check_status(key)
    _check_dates(key, datetime.fromtimestamp(now, UTC))
    if not client.active:
        raise ClientSuspended(
            f"The client {client.client_id} is suspended. {_ask_operators(client.status_reason)}",
            client_id=client.client_id,
        )
    if networks and not client.allows_address(address):
        raise NetworkNotAllowed(
            f"The client {client.client_id} may not sign from {address}. Send the request from one of its networks, "
            "or ask an operator to add this one.",
            address=address,
        )


def _check_status(key: KeyRecord) -> None:
    if key.verifies:
        return
    if key.status is KeyStatus.REVOKED:
        raise KeyRevoked(
            f"The key {key.thumbprint[:8]} was revoked ({key.revocation_reason}). It never counts again: register a "
            "new key, with an enrolment token from an operator.",
            revocation_reason=key.revocation_reason,
        )
    if key.status is KeyStatus.EXPIRED:
        raise _key_expired(key)
    why = {
        KeyStatus.PENDING: "waits for an operator's approval. Try again when it is approved.",
        KeyStatus.SUSPENDED: f"is suspended. {_ask_operators(key.decision_reason)}",
        KeyStatus.REJECTED: f"was rejected: {key.decision_reason or 'no reason given'}. Register another key.",
        KeyStatus.RETIRED: "was rotated and is retired. Sign with its successor.",
    }[key.status]
    raise KeyNotActive(f"The key {key.thumbprint[:8]} {why}", status=key.status.value)


def _ask_operators(reason: str) -> str:
    return "Ask the operators of this server" + (f"; they say: {reason}" if reason else ".")


def _check_dates(key: KeyRecord, moment: datetime) -> None:
    if key.not_before and moment < key.not_before:
        raise KeyNotActive(
            f"The key {key.thumbprint[:8]} counts from {key.not_before:%Y-%m-%dT%H:%M:%SZ} on. Wait until then.",
            status=key.status.value,
        )
    if key.expires_at and moment >= key.expires_at:
        raise _key_expired(key)
    if key.retire_at and moment >= key.retire_at:
        raise KeyNotActive(
            f"The key {key.thumbprint[:8]} was rotated and its grace is over. Sign with its successor.",
            status=KeyStatus.RETIRED.value,
        )


def _key_expired(key: KeyRecord) -> KeyExpired:
    since = f" on {key.expires_at:%Y-%m-%d}" if key.expires_at else ""
    return KeyExpired(
        f"The key {key.thumbprint[:8]} expired{since}. Register a new key; next time rotate before the end.",
        expires_at=key.expires_at.isoformat() if key.expires_at else None,
    )
