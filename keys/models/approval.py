"""Four eyes: who has agreed to a pending key, and to what."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from keys.models.key import Key


class Approval(models.Model):
    """One operator's agreement to activate one key on these terms.

    The last one needed activates the key. Triggers (migrations 0003 and 0007) keep rows from being changed,
    refuse one by who stands behind the request, and an activation with too few. Who stood behind it at the
    time is kept here: that can change later.
    """

    key = models.ForeignKey(Key, models.PROTECT, related_name="approvals")
    operator = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    terms = models.JSONField(
        default=dict, help_text="Expiry, scopes and profile that the operator agreed to."
    )
    reason = models.CharField(max_length=500, blank=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    registrar = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    inviter = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        related_name="+",
        help_text="Who issued the enrolment token that the key was registered with.",
    )
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["key", "operator"], name="approval_once_each"),
            *(
                models.CheckConstraint(
                    condition=Q(**{f"{party}__isnull": True}) | ~Q(operator=F(party)),
                    name=f"approval_not_by_{party}",
                )
                for party in ("owner", "registrar", "inviter")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.operator} for {self.key_id}"
