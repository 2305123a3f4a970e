"""How every worker learns that a client or one of its keys changed, without asking the database.

Each client has an epoch, counted up in the transaction of every change. A worker's cached record
carries the epoch that it was read at, and the round trip that spends the nonce compares it
(`keys.replay`). On Redis the epoch is announced twice:

1. Before the commit as "in flux": no cached record matches, so workers read the database. The
   announcement expires by itself, so a rolled-back or crashed transaction heals.
2. After the commit as the new epoch.

Either is enough. Where Redis hears neither, because the process that decides cannot reach it, a worker
that does goes by its cached record until that is too old; who decided is told (`meta.warnings`, the
admin, the command).

Rejected: announcing only after the commit. A process that dies between commit and announcement
would leave a revoked key working for as long as caches live.
Rejected: a job that announces again. Records live for seconds, so it would come too late.
"""

from __future__ import annotations

import logging

from django.conf import settings
from django.db import transaction
from django.db.models import F

from accounts.models import Client
from keys.errors import ReplayCheckUnavailable
from keys.replay import replay_store
from project.context import current_context

log = logging.getLogger(__name__)


def advance(client: Client) -> None:
    """Count the client's epoch up inside the caller's transaction and announce it.

    Redis being away does not stop a decision: nobody can verify without it either, and a worker
    that still reaches it drops its cached record after `DATAFOLD_DIRECTORY_TTL_SECONDS`. Then the
    context has a warning for whoever decided.
    """
    Client.objects.filter(pk=client.pk).update(epoch=F("epoch") + 1)
    client.epoch = Client.objects.values_list("epoch", flat=True).get(pk=client.pk)
    client_id, epoch = client.client_id, client.epoch
    in_flux = _announce(client_id, epoch, in_flux=True)

    def announce() -> None:
        if not _announce(client_id, epoch, in_flux=False) and not in_flux:
            _warn(client_id)

    transaction.on_commit(announce)


def announce_new_client(client: Client) -> None:
    """A client that did not exist cannot have spent a nonce: its store is complete from the start."""
    client_id, epoch = client.client_id, client.epoch

    def announce() -> None:
        try:
            replay_store().announce_new(client_id, epoch)
        except ReplayCheckUnavailable:
            log.warning(
                "new client not announced: the replay store is unavailable", extra={"client_id": client_id}
            )

    transaction.on_commit(announce)


def _announce(client_id: str, epoch: int, *, in_flux: bool) -> bool:
    try:
        replay_store().announce(client_id, epoch, in_flux=in_flux)
    except ReplayCheckUnavailable:
        return False
    return True


def _warn(client_id: str) -> None:
    log.error(
        "epoch not announced: the replay store is unavailable; cached records live until they expire",
        extra={"client_id": client_id},
    )
    seconds = settings.DATAFOLD_DIRECTORY_TTL_SECONDS
    warning = (
        "Redis could not be told of this. It stands, but a server that does reach Redis goes by what it knew "
        f"for up to {seconds:g} s and may still let in what you have cut off. If Redis is not down for all, "
        "check REDIS_URL and the network where you decided."
    )
    warnings = current_context().warnings
    if warning not in warnings:
        warnings.append(warning)
