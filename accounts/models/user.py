"""Operators: the people who decide."""

from __future__ import annotations

from collections.abc import Iterator

from django.contrib.auth.models import AbstractUser
from django.db import models

from accounts.roles import Role


class User(AbstractUser):
    """An operator. What one may do is the sum of the roles (groups) one is in."""

    email = models.EmailField("email address", blank=True)
    session_epoch = models.PositiveIntegerField(
        null=True,
        editable=False,
        help_text="How often every session of the account was ended at once; each session knows its own.",
    )
    password_login_until = models.DateTimeField(
        null=True,
        editable=False,
        help_text="Until then the password counts although single sign-on is demanded.",
    )

    class Meta(AbstractUser.Meta):
        abstract = False
        verbose_name = "operator"
        verbose_name_plural = "operators"

    @property
    def roles(self) -> list[Role]:
        """The roles held, strongest first; a superuser is an admin whatever the groups say."""
        if self.is_superuser:
            return [Role.ADMIN]
        names = set(self.groups.values_list("name", flat=True))
        return [role for role in Role if role.value in names]

    def get_session_auth_hash(self) -> str:
        """What a session must carry to count: it changes with the password and with `session_epoch`."""
        return self._of_this_epoch(super().get_session_auth_hash())

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        """The same under each of SECRET_KEY_FALLBACKS."""
        return map(self._of_this_epoch, super().get_session_auth_fallback_hash())

    def _of_this_epoch(self, session_hash: str) -> str:
        return f"{session_hash}.{self.session_epoch}" if self.session_epoch else session_hash
