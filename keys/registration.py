"""How a key gets into the registry: four policies, enrolment tokens, proof of possession."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.audit import Actor, record_event
from accounts.models import Client, User
from accounts.models.client import metadata_problems
from keys import epochs
from keys.errors import (
    ClientAlreadyRegistered,
    DuplicatePublicKey,
    EnrolmentTokenInvalid,
    InvalidMetadata,
    RegistrationClosed,
)
from keys.httpsig import PublicKey
from keys.lifecycle import default_expiry
from keys.models import EnrolmentToken, Key, KeyStatus
from keys.models.enrolment import hash_token, new_token
from project.context import current_context


@dataclass(frozen=True, slots=True)
class Registration:
    """What a client asks for. `proven`: the request was signed by this very key."""

    public_key: PublicKey
    client_id: str = ""
    key_name: str = ""
    user_id: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    enrolment_token: str = ""
    proven: bool = False


def register(registration: Registration) -> Key:
    """Add the key, as the registration policy wants it: pending, or active at once.

    Raises:
        RegistrationClosed, EnrolmentTokenInvalid, InvalidMetadata, ClientAlreadyRegistered,
        DuplicatePublicKey
    """
    policy = settings.DATAFOLD_REGISTRATION_POLICY
    if policy == "closed":
        raise RegistrationClosed(
            "This server does not take registrations. Ask an operator to add your client."
        )
    if problems := metadata_problems(registration.metadata):
        raise InvalidMetadata(
            "The metadata is over its limits: " + "; ".join(problems) + ".", problems=problems
        )
    try:
        with transaction.atomic():
            return _register(registration, policy)
    except IntegrityError as error:
        # Two registrations of one key or one client at once: the constraint let one through.
        _refuse_duplicate(registration.public_key)
        raise _already_registered(registration.client_id) from error


def issue_token(
    *, issued_by: User, client: Client | None = None, note: str = "", lifetime: timedelta = timedelta(days=7)
) -> tuple[EnrolmentToken, str]:
    """A new enrolment token: the row, and the token itself, which is not kept."""
    token, now = new_token(), timezone.now()
    with transaction.atomic():
        row = EnrolmentToken.objects.create(
            token_hash=hash_token(token),
            client=client,
            note=note,
            issued_by=issued_by,
            issued_at=now,
            expires_at=now + lifetime,
        )
        record_event(
            actor=Actor.operator(issued_by),
            action="enrolment_token.issued",
            target_kind="enrolment_token",
            target_id=str(row.pk),
            target_label=str(row),
            after={"client_id": client.client_id if client else "", "expires_at": row.expires_at.isoformat()},
            reason=note,
        )
    return row, token


def _register(registration: Registration, policy: str) -> Key:
    _refuse_duplicate(registration.public_key)
    now = timezone.now()
    token = _claim_token(registration.enrolment_token, policy, now)
    client, created = _client_for(registration, token)
    # Under four eyes an enrolment token is one operator's word; the key still waits for the others.
    active = policy == "open" or (token is not None and not settings.DATAFOLD_FOUR_EYES)
    key = Key.objects.create(
        client=client,
        name=registration.key_name,
        algorithm=registration.public_key.algorithm,
        public_key=registration.public_key.der,
        fingerprint=registration.public_key.fingerprint,
        thumbprint=registration.public_key.thumbprint,
        status=KeyStatus.ACTIVE if active else KeyStatus.PENDING,
        proven=registration.proven,
        approvals_needed=2 if settings.DATAFOLD_FOUR_EYES else 1,
        expires_at=default_expiry() if active else None,
        metadata=registration.metadata,
        registered_at=now,
        decided_at=now if active else None,
        registered_from=current_context().address,
        registered_user_id=registration.user_id,
    )
    if token is not None:
        EnrolmentToken.objects.filter(pk=token.pk).update(used_for=key)
    record_event(
        actor=Actor.anonymous() if not registration.proven else Actor.client(client, key.thumbprint),
        action="key.registered",
        target_kind="key",
        target_id=str(key.pk),
        target_label=str(key),
        after={
            "status": key.status,
            "thumbprint": key.thumbprint,
            "proven": key.proven,
            "policy": policy,
            "user_id": registration.user_id,
        },
    )
    if created:
        epochs.announce_new_client(client)
    else:
        epochs.advance(client)
    return key


def _refuse_duplicate(public_key: PublicKey) -> None:
    if Key.objects.filter(thumbprint=public_key.thumbprint).exists():
        raise DuplicatePublicKey(
            "This public key is registered already, and a key is registered once, ever: also a rejected or "
            "revoked one stays known. Generate a new key pair and register that.",
            thumbprint=public_key.thumbprint,
        )


def _claim_token(token: str, policy: str, now: datetime) -> EnrolmentToken | None:
    """Spend the enrolment token; None where none was given and none is needed."""
    if not token:
        if policy == "invite":
            raise EnrolmentTokenInvalid(
                "This server registers by invitation. Ask an operator for an enrolment token and send it as "
                "`enrolment_token`."
            )
        return None
    row = EnrolmentToken.objects.select_related("client").filter(token_hash=hash_token(token)).first()
    claimed = row is not None and EnrolmentToken.objects.filter(
        pk=row.pk, used_at__isnull=True, expires_at__gt=now
    ).update(used_at=now)
    if not claimed:
        raise EnrolmentTokenInvalid(
            "The enrolment token is not valid: it is unknown, expired, or was used before. "
            "Ask an operator for a new one."
        )
    return row


def _client_for(registration: Registration, token: EnrolmentToken | None) -> tuple[Client, bool]:
    """The client that the key shall belong to, and whether it is new."""
    if token is not None and token.client is not None:
        if registration.client_id not in ("", token.client.client_id):
            raise EnrolmentTokenInvalid(
                f"The enrolment token is for the client {token.client.client_id}, not for {registration.client_id}."
            )
        return token.client, False
    client_id = registration.client_id or f"client-{secrets.token_hex(8)}"
    if Client.objects.filter(client_id=client_id).exists():
        raise _already_registered(client_id)
    client = Client(
        client_id=client_id,
        name=registration.key_name,
        metadata=registration.metadata,
    )
    client.full_clean(exclude=["owner"])
    client.save(force_insert=True)
    return client, True


def _already_registered(client_id: str) -> ClientAlreadyRegistered:
    return ClientAlreadyRegistered(
        f"The client {client_id} is registered already. To change its key, rotate: POST /api/v1/crypto/keys/rotate, "
        "signed by the old and the new key. If the old key is lost, ask an operator for an enrolment token for this "
        "client. To register another machine, choose another client_id.",
        client_id=client_id,
    )
