"""Refusals of login, second factor and operators' tokens."""

from __future__ import annotations

from typing import ClassVar

from project.errors import DomainError


class OperatorAuthError(DomainError):
    """Base. `challenge` is the WWW-Authenticate field of a 401."""

    challenge: ClassVar[str] = 'Bearer realm="operators"'


class NotAuthenticated(OperatorAuthError):
    """The call is for operators, and nobody is signed in."""

    code = "NOT_AUTHENTICATED"


class CredentialsInvalid(OperatorAuthError):
    """Unknown operator, wrong password or inactive account: which one is not told."""

    code = "CREDENTIALS_INVALID"


class LoginLocked(OperatorAuthError):
    """Too many failures; `retry_after` says how many seconds it lasts."""

    code = "LOGIN_LOCKED"


class SecondFactorRequired(OperatorAuthError):
    """The password is right; a code is due as well."""

    code = "SECOND_FACTOR_REQUIRED"


class SecondFactorInvalid(OperatorAuthError):
    """The code is wrong, too old or spent."""

    code = "SECOND_FACTOR_INVALID"


class SecondFactorMissing(OperatorAuthError):
    """The server demands a second factor and this operator has none."""

    code = "SECOND_FACTOR_MISSING"


class SingleSignOnRequired(OperatorAuthError):
    """The server takes operators by single sign-on only."""

    code = "SINGLE_SIGN_ON_REQUIRED"


class TokenInvalid(OperatorAuthError):
    """Not one of our tokens, expired, revoked, or its operator is gone."""

    code = "TOKEN_INVALID"


class TokenReused(OperatorAuthError):
    """A refresh token that was spent already: everything that came of that login is revoked."""

    code = "TOKEN_REUSED"


class SchemesMixed(OperatorAuthError):
    """One request claims to be a client's and an operator's."""

    code = "SCHEMES_MIXED"


class CsrfFailed(OperatorAuthError):
    """A session call without the token that proves the page is ours."""

    code = "CSRF_FAILED"
