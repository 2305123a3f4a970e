"""allauth's two forms that take a code, with the code checked and its failures counted our way."""

from __future__ import annotations

from typing import Any

from allauth.core import context
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base import forms
from allauth.mfa.base.internal.flows import check_rate_limit
from django.core.exceptions import ValidationError

from accounts.authentication.errors import LoginLocked, SecondFactorInvalid
from accounts.authentication.second_factor import check_code


class SpendsCode:
    """Mixin: `clean_code` spends the code, once in all processes, under the login's limits."""

    user: Any
    cleaned_data: dict[str, Any]

    def clean_code(self) -> str:
        forget_attempt = check_rate_limit(self.user)
        code = str(self.cleaned_data["code"])
        try:
            authenticator = check_code(context.request, self.user, code)
        except LoginLocked as error:
            raise ValidationError(error.message) from error
        except SecondFactorInvalid as error:
            raise get_adapter().validation_error("incorrect_code") from error
        authenticator.user = self.user
        self.authenticator = authenticator
        forget_attempt()
        return code


class AuthenticateForm(SpendsCode, forms.AuthenticateForm):  # type: ignore[misc]
    """The code at login."""


class ReauthenticateForm(SpendsCode, forms.ReauthenticateForm):  # type: ignore[misc]
    """The code before a sensitive change."""
