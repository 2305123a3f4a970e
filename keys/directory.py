"""Who may sign with what: the per-process cache of clients and their keys.

No request asks the database for its key while the cache is warm. A record is only as good as its
epoch: the nonce store compares it on every request, so a cached record of a changed client is
never believed (`keys.epochs`).
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address

from django.conf import settings
from django.db.models import Case, IntegerField, QuerySet, When

from accounts.models import Client, ClientStatus
from keys.httpsig import PublicKey
from keys.models import VERIFYING, Key, KeyStatus
from project.proxies import parse_network

MAX_VERIFYING = 3
MAX_OTHERS = 3


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What verification needs to know of a key."""

    id: str
    thumbprint: str
    status: KeyStatus
    public_key: PublicKey
    not_before: datetime | None
    expires_at: datetime | None
    retire_at: datetime | None
    rotate_by: datetime | None
    decision_reason: str
    revocation_reason: str

    @property
    def verifies(self) -> bool:
        return self.status in VERIFYING


@dataclass(frozen=True, slots=True)
class ClientRecord:
    """What verification needs to know of a client, as of `epoch`.

    `keys`: candidates for a signature, verifying ones first, newest first.
    """

    pk: int
    client_id: str
    name: str
    epoch: int
    active: bool
    status_reason: str
    profile: str
    scopes: frozenset[str]
    networks: tuple[IPv4Network | IPv6Network, ...]
    rate_limit: int | None
    metadata: dict[str, object]
    keys: tuple[KeyRecord, ...]

    def allows_address(self, address: str) -> bool:
        if not self.networks:
            return True
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self.networks)


class Directory:
    """Bounded, least recently used, each record for at most `ttl` seconds."""

    def __init__(self, *, size: int, ttl: float) -> None:
        self._size = size
        self._ttl = ttl
        self._records: OrderedDict[str, tuple[float, ClientRecord]] = OrderedDict()
        self._lock = threading.Lock()

    def recall(self, keyid: str) -> ClientRecord | None:
        """The client that `keyid` names (client_id or thumbprint), if it is remembered."""
        found = self._records.get(keyid)
        return found[1] if found is not None and found[0] > time.monotonic() else None

    def has_met(self, keyid: str) -> bool:
        """Whether `keyid` has lately named a client, though its record may be too old to be believed."""
        return keyid in self._records

    def lookup(self, keyid: str) -> ClientRecord | None:
        """As `recall`, else from the database."""
        return self.recall(keyid) or self.reload(keyid)

    def reload(self, keyid: str) -> ClientRecord | None:
        """As `lookup`, but always from the database."""
        record = read_record(keyid)
        with self._lock:
            if record is None:
                self._records.pop(keyid, None)
                return None
            self._records[keyid] = (time.monotonic() + self._ttl, record)
            self._records.move_to_end(keyid)
            while len(self._records) > self._size:
                self._records.popitem(last=False)
        return record

    def clear(self) -> None:
        with self._lock:
            self._records.clear()


@lru_cache(maxsize=1)
def _directory(size: int, ttl: float) -> Directory:
    return Directory(size=size, ttl=ttl)


def directory() -> Directory:
    """This process's directory."""
    return _directory(settings.DATAFOLD_DIRECTORY_SIZE, settings.DATAFOLD_DIRECTORY_TTL_SECONDS)


def read_record(keyid: str) -> ClientRecord | None:
    """Read the client that `keyid` names from the database with its candidate keys, in one query.

    None also for a client that has no key: nothing it could sign with.
    """
    if len(keyid) > 64 or "\x00" in keyid:
        return None
    candidates = _candidates(keyid) or list(_keys().filter(thumbprint=keyid))
    return _record(candidates[0].client, candidates) if candidates else None


def _candidates(client_id: str) -> list[Key]:
    """Verifying keys first. The others only serve to tell their own holder what has become of them."""
    verifying_first = Case(When(status__in=VERIFYING, then=0), default=1, output_field=IntegerField())
    keys = list(
        _keys()
        .filter(client__client_id=client_id)
        .order_by(verifying_first, "-registered_at")[: MAX_VERIFYING + MAX_OTHERS]
    )
    verifying = [key for key in keys if key.status in VERIFYING]
    return verifying[:MAX_VERIFYING] + [key for key in keys if key.status not in VERIFYING]


def _keys() -> QuerySet[Key]:
    return Key.objects.select_related("client")


def _record(client: Client, keys: list[Key]) -> ClientRecord:
    return ClientRecord(
        pk=client.pk,
        client_id=client.client_id,
        name=client.name,
        epoch=client.epoch,
        active=client.status == ClientStatus.ACTIVE,
        status_reason=client.status_reason,
        profile=client.profile,
        scopes=frozenset(client.scopes),
        networks=tuple(parse_network(network) for network in client.allowed_networks),
        rate_limit=client.rate_limit,
        metadata=dict(client.metadata),
        keys=tuple(
            KeyRecord(
                id=str(key.pk),
                thumbprint=key.thumbprint,
                status=KeyStatus(key.status),
                public_key=key.verifier,
                not_before=key.not_before,
                expires_at=key.expires_at,
                retire_at=key.retire_at,
                rotate_by=key.rotate_by,
                decision_reason=key.decision_reason,
                revocation_reason=key.revocation_reason,
            )
            for key in keys
        ),
    )
