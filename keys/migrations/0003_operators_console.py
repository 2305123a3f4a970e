import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q

from project.db.triggers import RefuseWrite, RefuseWriteAfterLookup

TOO_FEW = (
    "OLD.status = 'pending' AND NEW.status = 'active' AND NEW.approvals_needed > 1 AND "
    "(SELECT COUNT(*) FROM keys_approval WHERE key_id = NEW.id) < NEW.approvals_needed"
)


def operator(**options):
    return models.ForeignKey(
        to=settings.AUTH_USER_MODEL, on_delete=django.db.models.deletion.PROTECT, related_name="+", **options
    )


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_operators_console"),
        ("keys", "0002_key_state_machine"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        # Nullable without a default: SQLite adds such a column without rebuilding the table, and a
        # rebuild would drop its triggers.
        migrations.AddField(
            model_name="key",
            name="approvals_needed",
            field=models.PositiveSmallIntegerField(blank=True, editable=False, null=True),
        ),
        migrations.AddIndex(
            model_name="key", index=models.Index(fields=["-registered_at", "-id"], name="key_newest")
        ),
        migrations.AddIndex(
            model_name="key", index=models.Index(fields=["fingerprint"], name="key_by_fingerprint")
        ),
        migrations.AddIndex(
            model_name="key",
            index=models.Index(fields=["status", "last_used_at", "decided_at"], name="key_silent"),
        ),
        migrations.CreateModel(
            name="Approval",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "terms",
                    models.JSONField(
                        default=dict, help_text="Expiry, scopes and profile that the operator agreed to."
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=500)),
                ("created_at", models.DateTimeField()),
                (
                    "key",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="approvals", to="keys.key"
                    ),
                ),
                ("operator", operator()),
                ("owner", operator(null=True)),
                ("registrar", operator(null=True)),
                (
                    "inviter",
                    operator(
                        null=True,
                        help_text="Who issued the enrolment token that the key was registered with.",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
                "default_permissions": ("view",),
                "constraints": [
                    models.UniqueConstraint(fields=["key", "operator"], name="approval_once_each"),
                    models.CheckConstraint(
                        condition=Q(owner__isnull=True) | ~Q(operator=F("owner")),
                        name="approval_not_by_owner",
                    ),
                    models.CheckConstraint(
                        condition=Q(registrar__isnull=True) | ~Q(operator=F("registrar")),
                        name="approval_not_by_registrar",
                    ),
                    models.CheckConstraint(
                        condition=Q(inviter__isnull=True) | ~Q(operator=F("inviter")),
                        name="approval_not_by_inviter",
                    ),
                ],
            },
        ),
        RefuseWrite(
            "approval_never_changed", "keys_approval", "UPDATE", "an approval is given once and never changed"
        ),
        RefuseWrite("approval_never_deleted", "keys_approval", "DELETE", "an approval is never deleted"),
        RefuseWriteAfterLookup(
            "key_needs_approvals", "keys_key", "UPDATE", "the key needs approvals by more operators", TOO_FEW
        ),
        RefuseWrite(
            "key_approvals_frozen",
            "keys_key",
            "UPDATE",
            "how many approvals a key needs is fixed when it is registered",
            {
                "sqlite": "OLD.approvals_needed IS NOT NEW.approvals_needed",
                "postgresql": "OLD.approvals_needed IS DISTINCT FROM NEW.approvals_needed",
            },
        ),
    ]
