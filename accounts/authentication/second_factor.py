"""The second factor: who has one, who must, and whether a code is good.

A code is checked here and not by allauth's classes for one reason: allauth remembers a spent code in
the cache, and without Redis that is a memory of one process. Here it is spent in the database.
"""

from __future__ import annotations

from typing import cast

from allauth.core.internal.cryptokit import compare_user_code
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from allauth.mfa.utils import decrypt
from django.conf import settings
from django.contrib.auth.signals import user_login_failed
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from accounts.authentication.errors import SecondFactorInvalid
from accounts.authentication.guesses import claim_code
from accounts.authentication.lockout import refuse_locked
from accounts.models import User

STRONG = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]
MAX_CODE_LENGTH = 40


def has_second_factor(user: User) -> bool:
    """Whether an authenticator app or a passkey is set up; recovery codes alone are none."""
    return cast(bool, Authenticator.objects.filter(user_id=user.pk, type__in=STRONG).exists())


def lacks_second_factor(user: User) -> bool:
    """Whether this operator must set one up before anything else (DATAFOLD_REQUIRE_MFA)."""
    return bool(settings.DATAFOLD_REQUIRE_MFA) and not has_second_factor(user)


def spend_code(user: User, code: str) -> Authenticator | None:
    """Use up a code of the operator's authenticator app or one of the recovery codes.

    Returns:
        The authenticator that it belongs to; None if the code is wrong, too old or spent.
    """
    if not code or len(code) > MAX_CODE_LENGTH:
        return None
    for authenticator in Authenticator.objects.filter(user_id=user.pk).exclude(
        type=Authenticator.Type.WEBAUTHN
    ):
        if authenticator.type == Authenticator.Type.TOTP:
            good = _spend_totp(authenticator.pk, code)
        else:
            good = authenticator.wrap().validate_code(code)
        if good:
            Authenticator.objects.filter(pk=authenticator.pk).update(last_used_at=timezone.now())
            return cast(Authenticator, authenticator)
    return None


def check_code(request: HttpRequest, user: User, code: str) -> Authenticator:
    """Spend the code, once in all processes, within the limits of the address and of the account.

    Returns:
        The authenticator that it belongs to.

    Raises:
        SecondFactorInvalid, LoginLocked, ReplayCheckUnavailable
    """
    refuse_locked(request, user.get_username())
    succeeded = claim_code(user)
    authenticator = spend_code(user, code)
    if authenticator is None:
        report_wrong_code(request, user)
        refuse_locked(request, user.get_username())
        raise SecondFactorInvalid("The code is wrong, too old or used already. Wait for the next one.")
    succeeded()
    return authenticator


def report_wrong_code(request: HttpRequest, user: User) -> None:
    """Count a wrong code like a wrong password.

    Through Django's own signal, as `authenticate` would send it: it is what django-axes listens to.
    """
    user_login_failed.send(sender=__name__, credentials={"username": user.get_username()}, request=request)


@transaction.atomic
def _spend_totp(authenticator_id: int, code: str) -> bool:
    """RFC 6238 §5.2: a code is good once, and none before it is good any more."""
    authenticator = Authenticator.objects.select_for_update().filter(pk=authenticator_id).first()
    if authenticator is None:
        return False
    secret = decrypt(authenticator.data["secret"])
    spent = authenticator.data.get("last_counter", -1)
    for counter in yield_hotp_counters_from_time():
        if (
            compare_user_code(actual=code, expected=format_hotp_value(hotp_value(secret, counter)))
            and counter > spent
        ):
            authenticator.data["last_counter"] = counter
            authenticator.save(update_fields=["data"])
            return True
    return False
