"""What an owner may change about a schema without writing a version."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from accounts.audit import Actor, record_event
from accounts.models import Client
from schemas import access
from schemas.documents import search_text
from schemas.epoch import advance_epoch
from schemas.errors import SchemaInvalid
from schemas.models import Schema
from schemas.receipts import Author

PLAIN = ("description", "compatibility", "strict_writers_only")


def change_settings(*, schema: Schema, author: Author | None, changes: dict[str, Any]) -> Schema:
    """Set those of `description`, `compatibility`, `strict_writers_only` and `writers` that are given.

    Raises:
        SchemaForbidden: the author is not the owner.
        SchemaInvalid: a writer is no registered client.
    """
    with transaction.atomic():
        Schema.objects.select_for_update().get(pk=schema.pk)
        schema = access.find_schema(schema.name)
        access.check_owner(schema, author)
        wanted = {name: changes[name] for name in PLAIN if changes.get(name) is not None}
        before: dict[str, Any] = {name: getattr(schema, name) for name in wanted}
        after = dict(wanted)
        for name, value in wanted.items():
            setattr(schema, name, value)
        if changes.get("writers") is not None:
            before["writers"] = writer_ids(schema)
            schema.writers.set(_clients(changes["writers"]))
            after["writers"] = writer_ids(schema)
        newest = access.latest_version(schema)
        schema.search_text = search_text(schema.name, schema.description, newest.content if newest else None)
        schema.save()
        record_event(
            actor=Actor.client(author.client_id, author.thumbprint) if author else Actor.anonymous(),
            action="schema.updated",
            target_kind="schema",
            target_id=str(schema.pk),
            target_label=schema.name,
            before=before,
            after=after,
        )
        advance_epoch()
    return schema


def writer_ids(schema: Schema) -> list[str]:
    return list(schema.writers.order_by("client_id").values_list("client_id", flat=True))


def _clients(client_ids: list[str]) -> list[Client]:
    clients = list(Client.objects.filter(client_id__in=client_ids))
    if missing := sorted(set(client_ids) - {client.client_id for client in clients}):
        raise SchemaInvalid(
            f"These writers are no registered clients: {', '.join(missing[:10])}. Give client_ids.",
            problems=[
                {
                    "code": "CLIENT_UNKNOWN",
                    "pointer": "/writers",
                    "message": f"{client_id} is not registered.",
                }
                for client_id in missing
            ],
        )
    return clients
