"""Operators: the people who decide."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models

from accounts.roles import Role


class User(AbstractUser):
    """An operator. What one may do is the sum of the roles (groups) one is in."""

    email = models.EmailField("email address", blank=True)

    class Meta(AbstractUser.Meta):
        abstract = False
        verbose_name = "operator"

    @property
    def roles(self) -> list[Role]:
        """The roles held, strongest first; a superuser is an admin whatever the groups say."""
        if self.is_superuser:
            return [Role.ADMIN]
        names = set(self.groups.values_list("name", flat=True))
        return [role for role in Role if role.value in names]
