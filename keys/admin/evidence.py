"""What an operator must see of a key to decide on it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from accounts.lookalikes import candidates
from accounts.models import Client
from keys.four_eyes import Terms, agreed_terms, approvals_needed
from keys.models import Approval, Key

OTHER_KEYS_SHOWN = 8
LOOKALIKES_SHOWN = 5
CANDIDATES = 15_000


@dataclass(slots=True)
class Evidence:
    """One key with what surrounds it. `other_keys` and `lookalikes` are cut at a few; `more_keys` says so."""

    key: Key
    other_keys: list[Key] = field(default_factory=list)
    more_keys: bool = False
    lookalikes: list[Client] = field(default_factory=list)
    approvals: list[Approval] = field(default_factory=list)
    approvals_needed: int = 1
    agreed: Terms | None = None

    def approvals_missing(self, operator: int | None) -> int:
        """How many are due beside those that others than this operator gave."""
        return self.approvals_needed - sum(given.operator_id != operator for given in self.approvals)


def evidence_of(keys: Sequence[Key]) -> list[Evidence]:
    """For keys loaded by `keys.decisions.load`: four more queries, however many keys (≤ 100)."""
    others = _other_keys(keys)
    similar = lookalikes_of([key.client for key in keys])
    found = []
    for key in keys:
        siblings = [other for other in others[key.client_id] if other.pk != key.pk]
        found.append(
            Evidence(
                key=key,
                other_keys=siblings[:OTHER_KEYS_SHOWN],
                more_keys=len(siblings) > OTHER_KEYS_SHOWN,
                lookalikes=similar[key.client_id],
                approvals=list(key.approvals.all()),
                approvals_needed=approvals_needed(key),
                agreed=agreed_terms(key),
            )
        )
    return found


def lookalikes_of(clients: Sequence[Client]) -> dict[int, list[Client]]:
    """Other clients whose id or name is easily taken for one of these clients'; at most five each.

    Two indexed lookups over the skeletons and, as far as a bound allows, their neighbours at one edit.
    """
    wanted: dict[int, set[str]] = {
        client.pk: {client.skeleton, client.name_skeleton} - {""} for client in clients
    }
    pool = candidates({one for skeletons in wanted.values() for one in skeletons}, limit=CANDIDATES)
    by_skeleton: dict[str, list[Client]] = defaultdict(list)
    for column in ("skeleton", "name_skeleton"):
        # Without an order: for the first 500 in the model's own a database may rather read the whole table.
        alike = Client.objects.filter(**{f"{column}__in": pool}).order_by()
        for client in alike.only("client_id", "name", "created_at", column)[:500]:
            by_skeleton[getattr(client, column)].append(client)
    found: dict[int, list[Client]] = {}
    for pk, skeletons in wanted.items():
        near = candidates(skeletons, limit=CANDIDATES) & by_skeleton.keys()
        similar = {client.pk: client for one in near for client in by_skeleton[one] if client.pk != pk}
        found[pk] = sorted(similar.values(), key=lambda client: client.created_at)[:LOOKALIKES_SHOWN]
    return found


def _other_keys(keys: Sequence[Key]) -> dict[int, list[Key]]:
    others: dict[int, list[Key]] = defaultdict(list)
    clients = {key.client_id for key in keys}
    for other in Key.objects.filter(client__in=clients).order_by("-registered_at")[:500]:
        others[other.client_id].append(other)
    return others
