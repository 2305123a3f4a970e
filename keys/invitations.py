"""Taking back an enrolment token that nobody used."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from accounts.audit import Actor, record_event
from keys.errors import EnrolmentTokenInvalid
from keys.models import EnrolmentToken


def withdraw_token(token: EnrolmentToken, *, actor: Actor) -> EnrolmentToken:
    """The token expires now. Raises EnrolmentTokenInvalid if it was used or has expired already."""
    now = timezone.now()
    with transaction.atomic():
        swapped = EnrolmentToken.objects.filter(pk=token.pk, used_at__isnull=True, expires_at__gt=now).update(
            expires_at=now
        )
        if swapped != 1:
            raise EnrolmentTokenInvalid(
                "The token was used or has expired already; there is nothing to withdraw."
            )
        record_event(
            actor=actor,
            action="enrolment_token.withdrawn",
            target_kind="enrolment_token",
            target_id=str(token.pk),
            target_label=str(token),
            before={"expires_at": token.expires_at.isoformat()},
            after={"expires_at": now.isoformat()},
        )
        token.refresh_from_db()
    return token
