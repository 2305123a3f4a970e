"""How an operator changes a client: each one transaction, one audit event, one step of its epoch."""

from __future__ import annotations

from typing import Any

from django.core import signing
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.audit import Actor, record_event
from accounts.models import Client, ClientStatus
from keys import epochs
from project.errors import DomainError

CHANGEABLE = frozenset(
    {"name", "owner", "contact_email", "scopes", "profile", "allowed_networks", "rate_limit", "metadata"}
)
SALT = "datafold.accounts.clients"


class ClientStateConflict(DomainError):
    """The client is in that state already, or somebody changed it in between."""

    code = "CLIENT_STATE_CONFLICT"


class ReasonMissing(DomainError):
    """A decision that must be explained was not."""

    code = "REASON_MISSING"


def create_client(*, actor: Actor, client_id: str, **fields: Any) -> Client:
    """Add a client that has no key yet: give it an enrolment token next.

    Args:
        fields: any of `CHANGEABLE`.

    Raises:
        ValidationError: a field is not valid, or the client_id is taken.
    """
    _refuse_unknown(fields)
    client = Client(client_id=client_id, registered_by=actor.user, **fields)
    with transaction.atomic():
        client.full_clean()
        client.save(force_insert=True)
        _record(client, actor, "client.created", after=client_facts(client))
        epochs.announce_new_client(client)
    return client


def change_client(client: Client, *, actor: Actor, changes: dict[str, Any], reason: str = "") -> Client:
    """Set the fields in `changes` (any of `CHANGEABLE`) that differ from what is stored.

    Raises:
        ValidationError: a new value is not valid; nothing is changed then.
    """
    _refuse_unknown(changes)
    with transaction.atomic():
        client = _locked(client)
        before = client_facts(client)
        for name, value in changes.items():
            setattr(client, name, value)
        after = client_facts(client)
        changed = [name for name in changes if before[name] != after[name]]
        if not changed:
            return client
        client.full_clean()
        client.save(update_fields=[*changed, "updated_at"])
        _record(
            client,
            actor,
            "client.changed",
            before={name: before[name] for name in changed},
            after={name: after[name] for name in changed},
            reason=reason,
        )
        epochs.advance(client)
    return client


def suspend_client(client: Client, *, actor: Actor, reason: str, seen: str | None = None) -> Client:
    """active → suspended: none of its keys verifies from the next request on. It sees the reason.

    Args:
        seen: the `snapshot` that the operator's page carried; None: not bound to a page.

    Raises:
        ReasonMissing, ClientStateConflict
    """
    return _switch(client, ClientStatus.SUSPENDED, "client.suspended", actor=actor, reason=reason, seen=seen)


def reactivate_client(client: Client, *, actor: Actor, reason: str, seen: str | None = None) -> Client:
    """suspended → active. The reason is demanded: somebody cut this client off for one.

    Args and raises: as `suspend_client`.
    """
    return _switch(client, ClientStatus.ACTIVE, "client.reactivated", actor=actor, reason=reason, seen=seen)


def client_facts(client: Client) -> dict[str, Any]:
    """What operators set, as JSON-able values; the owner by name."""
    facts: dict[str, Any] = {name: getattr(client, name) for name in CHANGEABLE - {"owner"}}
    return {**facts, "owner": client.owner.get_username() if client.owner else None}


def snapshot(client: Client) -> str:
    """A signed token of what the operator sees, to be handed back with the change as `seen`."""
    facts = {**client_facts(client), "status": client.status}
    return signing.dumps({"client": client.client_id, "facts": facts}, salt=SALT, compress=True)


def refuse_if_changed(client: Client, seen: str) -> None:
    """Raise ClientStateConflict, naming what changed, unless the client is as `seen` recorded."""
    try:
        token = signing.loads(seen, salt=SALT)
    except signing.BadSignature:
        token = {}
    if token.get("client") != client.client_id:
        raise ClientStateConflict("The page is not one of ours, or a too old one. Load it again.")
    now = {**client_facts(client), "status": client.status}
    if changed := sorted(
        name.replace("_", " ") for name, value in now.items() if token["facts"].get(name) != value
    ):
        raise ClientStateConflict(
            f"The client {client.client_id} changed while you were looking ({', '.join(changed)}), so nothing was "
            "done. Look again and decide.",
            changed=changed,
        )


def _switch(
    client: Client, to: ClientStatus, action: str, *, actor: Actor, reason: str, seen: str | None
) -> Client:
    if not reason.strip():
        raise ReasonMissing("Say why: the reason is kept in the audit log.")
    with transaction.atomic():
        client = _locked(client)
        before = ClientStatus(client.status)
        if seen is not None:
            refuse_if_changed(client, seen)
        swapped = 0
        if before != to:
            swapped = Client.objects.filter(pk=client.pk, status=before).update(
                status=to, status_reason=reason[:500] if to == ClientStatus.SUSPENDED else ""
            )
        if swapped != 1:
            client.refresh_from_db()
            raise ClientStateConflict(
                f"The client {client.client_id} is {client.status} already. Reload it and look again.",
                client_id=client.client_id,
                status=client.status,
            )
        _record(
            client, actor, action, before={"status": before.value}, after={"status": to.value}, reason=reason
        )
        epochs.advance(client)
        client.refresh_from_db()
    return client


def _locked(client: Client) -> Client:
    return Client.objects.select_for_update(of=("self",)).select_related("owner").get(pk=client.pk)


def _refuse_unknown(fields: dict[str, Any]) -> None:
    if unknown := set(fields) - CHANGEABLE:
        raise ValidationError(f"Not to be set here: {', '.join(sorted(unknown))}.")


def _record(
    client: Client,
    actor: Actor,
    action: str,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    reason: str = "",
) -> None:
    record_event(
        actor=actor,
        action=action,
        target_kind="client",
        target_id=client.client_id,
        target_label=client.client_id,
        before=before,
        after=after,
        reason=reason,
    )
