"""Reading versions without a database query while they are warm.

Each process keeps the rendered answer of the versions read last. How it learns that one may no
longer be served is told in `schemas.epoch`.
"""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from django.conf import settings

from schemas import access
from schemas.epoch import current_epoch
from schemas.errors import ConversionImpossible
from schemas.formats import FormatError
from schemas.formats.convert import TARGETS, convert
from schemas.models import SchemaVersion
from schemas.references import resources_for
from schemas.representation import version_data
from schemas.usage import count_read

CACHE_SIZE = 2000
SAFETY_SECONDS = 60.0
"""How long an answer is kept on Redis: a process that dies right after its commit announces nothing."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """`data` of the answer as JSON; `tag` changes with everything in it."""

    version_pk: int
    data: bytes
    tag: str
    served: bool


@dataclass(slots=True)
class _Cache:
    entries: OrderedDict[tuple[str, int, str], tuple[float, str, Rendered]] = field(
        default_factory=OrderedDict
    )
    lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: tuple[str, int, str], epoch: str) -> Rendered | None:
        found = self.entries.get(key)
        if found is None or found[0] < time.monotonic() or found[1] != epoch:
            return None
        return found[2]

    def put(self, key: tuple[str, int, str], epoch: str, rendered: Rendered, ttl: float) -> None:
        with self.lock:
            self.entries[key] = (time.monotonic() + ttl, epoch, rendered)
            self.entries.move_to_end(key)
            while len(self.entries) > CACHE_SIZE:
                self.entries.popitem(last=False)


_cache = _Cache()


def read_version(
    name: str, number: int, target: str, *, reader: int | None, epoch: str = ""
) -> Rendered | None:
    """A served version, ready to send; the read is counted. None if it waits for approval.

    Args:
        target: format to convert to, "" for its own.
        reader: primary key of the client that signed.
        epoch: the registry's, where this request has learnt it already.

    Raises:
        SchemaNotFound, SchemaBlocked, ConversionImpossible.
    """
    key = (name, number, target)
    epoch = epoch or current_epoch()
    rendered = _cache.get(key, epoch) if epoch else None
    if rendered is None:
        rendered = _read(name, number, target)
        if rendered is None:
            return None
        if epoch:
            ttl = SAFETY_SECONDS if settings.REDIS_URL else settings.DATAFOLD_SCHEMA_CACHE_SECONDS
            _cache.put(key, epoch, rendered, ttl)
    count_read(rendered.version_pk, reader)
    return rendered


def forget_all() -> None:
    """Empty this process's cache."""
    with _cache.lock:
        _cache.entries.clear()


def _read(name: str, number: int, target: str) -> Rendered | None:
    schema = access.find_schema(name)
    access.check_not_blocked(schema)
    version = access.find_version(schema, number)
    return render(version, target) if access.is_served(version) else None


def render(version: SchemaVersion, target: str) -> Rendered:
    """The answer for a version, converted if asked for. Raises `ConversionImpossible`."""
    data = version_data(version)
    if target:
        try:
            resources = resources_for(version)
            converted = convert(version.format, version.content, target, resources=resources)
        except FormatError as error:
            raise ConversionImpossible(
                error.message, own_format=version.format, formats=list(TARGETS)
            ) from error
        data |= {
            "format": target,
            "content": converted.content,
            "converted_from": version.format,
            "losses": [loss.to_dict() for loss in converted.lost],
        }
    tag = f"{version.digest[:24]}-{version.number}-{data['state']}-{target or version.format}"
    tag += "-suspect" if data["suspect"] else ""
    encoded = json.dumps(data, separators=(",", ":"), ensure_ascii=False, default=str).encode()
    return Rendered(version.pk, encoded, tag, access.is_served(version))
