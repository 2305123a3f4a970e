"""The admin's global search: a few indexed lookups, only in what the operator may see."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from unfold.dataclasses import SearchResult

from accounts.lookalikes import skeleton
from accounts.models import AuditEvent, Client, User
from keys.models import Key, Refusal
from project.db.prefix import starts_with
from schemas.models import Schema

EACH = 6
SHORTEST = 2
SHORTEST_THUMBPRINT = 4
MOST_KEYS = 200


def find(request: HttpRequest, term: str) -> list[SearchResult]:
    """What the command palette offers for `term`; at most six of each kind."""
    term = term.strip()[:100]
    if len(term) < SHORTEST:
        return []
    kinds = {
        "accounts.view_client": _clients,
        "keys.view_key": _keys,
        "schemas.view_schema": _schemas,
        "accounts.view_user": _operators,
        "accounts.view_auditevent": _events,
        "keys.view_refusal": _refusals,
    }
    return [
        result
        for permission, search in kinds.items()
        if request.user.has_perm(permission)
        for result in search(term)
    ]


def clients_named(term: str, *, limit: int) -> list[Client]:
    """Clients whose id or name begins with `term`, however it is spelt.

    Each lookup is in the order of its own index: for any other a database may rather read the whole table.
    """
    found: dict[int, Client] = {}
    folded = skeleton(term)
    lookups = {"client_id": term} | ({"skeleton": folded, "name_skeleton": folded} if folded else {})
    for column, prefix in lookups.items():
        begins = Client.objects.filter(starts_with(column, prefix)).order_by(column)
        found |= {client.pk: client for client in begins[:limit]}
        if len(found) >= limit:
            break
    return list(found.values())[:limit]


def keys_named(term: str, within: QuerySet[Key]) -> QuerySet[Key]:
    """Keys that `term` means: registration id, fingerprint, beginning of a thumbprint, or a client's name.

    One index lookup after the other, and not one OR over all: that would read the table.
    """
    try:
        return within.filter(pk=uuid.UUID(term))
    except ValueError:
        pass
    by_fingerprint = within.filter(fingerprint=term.lower().replace(":", ""))
    if by_fingerprint.exists():
        return by_fingerprint
    if len(term) >= SHORTEST_THUMBPRINT:
        begins = within.filter(starts_with("thumbprint", term)).order_by("thumbprint")
        if ids := list(begins.values_list("pk", flat=True)[:MOST_KEYS]):
            return within.filter(pk__in=ids)
    return within.filter(client__in=[client.pk for client in clients_named(term, limit=200)])


def _clients(term: str) -> Iterator[SearchResult]:
    for client in clients_named(term, limit=EACH):
        yield _result(
            f"{client.client_id} {client.name}", "Client", "dns", "accounts_client_change", client.pk
        )


def _keys(term: str) -> Iterator[SearchResult]:
    for key in keys_named(term, Key.objects.select_related("client"))[:EACH]:
        yield _result(f"{key} · {key.status}", "Key", "key", "keys_key_change", key.pk)


def _schemas(term: str) -> Iterator[SearchResult]:
    for schema in Schema.objects.alive().filter(starts_with("name", term))[:EACH]:
        yield _result(schema.name, "Schema", "schema", "schemas_schema_change", schema.pk)


def _operators(term: str) -> Iterator[SearchResult]:
    for user in User.objects.filter(starts_with("username", term))[:EACH]:
        yield _result(user.get_username(), "Operator", "person", "accounts_user_change", user.pk)


def _events(term: str) -> Iterator[SearchResult]:
    for event in AuditEvent.objects.filter(request_id=term)[:EACH]:
        yield _result(str(event), "Audit event", "history", "accounts_auditevent_change", event.pk)


def _refusals(term: str) -> Iterator[SearchResult]:
    for refusal in Refusal.objects.filter(request_id=term)[:EACH]:
        yield _result(str(refusal), "Refused request", "block", "keys_refusal_change", refusal.pk)


def _result(title: str, kind: str, icon: str, url_name: str, pk: object) -> SearchResult:
    try:
        link = reverse(f"admin:{url_name}", args=[pk])
    except NoReverseMatch:
        link = reverse("admin:index")
    return SearchResult(title=title.strip(), description=kind, link=link, icon=icon)
