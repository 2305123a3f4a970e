"""For the login page."""

from __future__ import annotations

from django import template
from django.conf import settings

register = template.Library()


@register.simple_tag
def only_single_sign_on() -> bool:
    """Whether single sign-on is the only way in."""
    return bool(settings.DATAFOLD_REQUIRE_SSO)
