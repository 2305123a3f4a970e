"""What an operator must see of a key to decide on it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db.models import Window
from django.db.models.functions import RowNumber

from accounts.lookalikes import candidates
from accounts.models import Client
from keys.four_eyes import Terms, agreed_terms, approvals_needed
from keys.models import Approval, Key

OTHER_KEYS_SHOWN = 8
LOOKALIKES_SHOWN = 5
# A page of twenty ids of twenty letters fits in; more would make it wait for the database.
CANDIDATES = 30_000
AT_ONCE = 15_000
MATCHES_READ = 500


@dataclass(slots=True)
class Evidence:
    """One key with what surrounds it.

    `other_keys` and `lookalikes` are cut at a few; `more_keys` says so. `lookalikes_missed`: there was no room to
    search for all of them.
    """

    key: Key
    other_keys: list[Key] = field(default_factory=list)
    more_keys: bool = False
    lookalikes: list[Client] = field(default_factory=list)
    lookalikes_missed: bool = False
    approvals: list[Approval] = field(default_factory=list)
    approvals_needed: int = 1
    agreed: Terms | None = None

    def approvals_missing(self, operator: int | None) -> int:
        """How many are due beside those that others than this operator gave."""
        return self.approvals_needed - sum(given.operator_id != operator for given in self.approvals)


def evidence_of(keys: Sequence[Key]) -> list[Evidence]:
    """For keys loaded by `keys.decisions.load`: a few more queries, however many keys (≤ 100)."""
    others = _other_keys(keys)
    similar, missed = lookalikes_of([key.client for key in keys])
    found = []
    for key in keys:
        siblings = [other for other in others[key.client_id] if other.pk != key.pk]
        found.append(
            Evidence(
                key=key,
                other_keys=siblings[:OTHER_KEYS_SHOWN],
                more_keys=len(siblings) > OTHER_KEYS_SHOWN,
                lookalikes=similar[key.client_id],
                lookalikes_missed=key.client_id in missed,
                approvals=list(key.approvals.all()),
                approvals_needed=approvals_needed(key),
                agreed=agreed_terms(key),
            )
        )
    return found


def lookalikes_of(clients: Sequence[Client]) -> tuple[dict[int, list[Client]], set[int]]:
    """Other clients whose id or name is easily taken for one of these clients'; at most five each.

    Indexed lookups over the skeletons and, as far as a bound allows, their neighbours at one edit.

    Returns:
        The look-alikes by client, and the clients for which some may have been missed; for one that is asked for
        alone there is room.
    """
    wanted: dict[int, set[str]] = {
        client.pk: {client.skeleton, client.name_skeleton} - {""} for client in clients
    }
    every = {one for skeletons in wanted.values() for one in skeletons}
    near, left_out = candidates(every, limit=CANDIDATES)
    by_skeleton, cut = _clients_by_skeleton(sorted(set().union(*near.values())))
    found: dict[int, list[Client]] = {}
    for pk, skeletons in wanted.items():
        alike = set().union(*(near[one] for one in skeletons)) & by_skeleton.keys()
        similar = {client.pk: client for one in alike for client in by_skeleton[one] if client.pk != pk}
        found[pk] = sorted(similar.values(), key=lambda client: client.created_at)[:LOOKALIKES_SHOWN]
    return found, {pk for pk, skeletons in wanted.items() if cut or skeletons & left_out}


def _clients_by_skeleton(pool: Sequence[str]) -> tuple[dict[str, list[Client]], bool]:
    """Clients whose id or name has one of these skeletons, and whether there are more than were read."""
    found: dict[str, list[Client]] = defaultdict(list)
    cut = False
    for column in ("skeleton", "name_skeleton"):
        for start in range(0, len(pool), AT_ONCE):
            # Without an order: for the first in the model's own a database may rather read the whole table.
            alike = Client.objects.filter(**{f"{column}__in": pool[start : start + AT_ONCE]}).order_by()
            rows = list(alike.only("client_id", "name", "created_at", column)[:MATCHES_READ])
            cut = cut or len(rows) == MATCHES_READ
            for client in rows:
                found[getattr(client, column)].append(client)
    return found, cut


def _other_keys(keys: Sequence[Key]) -> dict[int, list[Key]]:
    """Of each client the newest, as many as are shown and a few: one with hundreds takes no room of the others."""
    others: dict[int, list[Key]] = defaultdict(list)
    clients = {key.client_id for key in keys}
    place = Window(RowNumber(), partition_by="client", order_by="-registered_at")
    newest = Key.objects.filter(client__in=clients).annotate(place=place)
    for other in newest.filter(place__lte=OTHER_KEYS_SHOWN + 2).order_by("-registered_at"):
        others[other.client_id].append(other)
    return others
