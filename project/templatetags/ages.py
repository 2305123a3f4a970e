"""How long ago, for people: the largest unit is enough to decide by."""

from __future__ import annotations

from datetime import datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.timesince import timesince

register = template.Library()


@register.filter
def age(moment: datetime, now: datetime | None = None) -> str:
    """ "5 minutes", "3 weeks"; "a moment" below a minute."""
    now = now or timezone.now()
    if now - moment < timedelta(minutes=1):
        return "a moment"
    return timesince(moment, now, depth=1)


@register.filter
def ahead(moment: datetime, now: datetime | None = None) -> str:
    """How long until then: "in 9 days"; "now" where it has passed."""
    now = now or timezone.now()
    return f"in {age(now, moment)}" if moment > now else "now"
