import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

from project.db.change_table import ChangeTable

LIVING = ["pending", "active", "suspended", "retiring"]
FINAL = ["rejected", "retired", "expired", "revoked"]


def listed(statuses):
    return ", ".join(f"'{status}'" for status in statuses)


class Migration(migrations.Migration):
    """A key may have a further successor when the one before is final; a final key may turn out compromised."""

    atomic = False

    dependencies = [("keys", "0009_keys_never_emptied")]

    operations = [
        ChangeTable(
            "keys_key",
            [
                migrations.AlterField(
                    model_name="key",
                    name="replaces",
                    field=models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="successors",
                        to="keys.key",
                    ),
                ),
                migrations.AddIndex(
                    model_name="key", index=models.Index(fields=["replaces"], name="key_by_predecessor")
                ),
                migrations.AddConstraint(
                    model_name="key",
                    constraint=models.UniqueConstraint(
                        fields=["replaces"],
                        condition=Q(status__in=LIVING),
                        name="key_one_living_successor",
                    ),
                ),
                migrations.RemoveConstraint(model_name="key", name="key_compromised_only_revoked"),
                migrations.AddConstraint(
                    model_name="key",
                    constraint=models.CheckConstraint(
                        condition=Q(compromised_since__isnull=True) | Q(status__in=FINAL),
                        name="key_compromised_only_final",
                    ),
                ),
            ],
            postgresql=[
                "DROP INDEX CONCURRENTLY IF EXISTS key_by_predecessor",
                "CREATE INDEX CONCURRENTLY key_by_predecessor ON keys_key (replaces_id)",
                "DROP INDEX CONCURRENTLY IF EXISTS key_one_living_successor",
                "CREATE UNIQUE INDEX CONCURRENTLY key_one_living_successor ON keys_key (replaces_id) "
                f"WHERE status IN ({listed(LIVING)})",
                "ALTER TABLE keys_key DROP CONSTRAINT IF EXISTS keys_key_replaces_id_key",
                "ALTER TABLE keys_key DROP CONSTRAINT IF EXISTS key_compromised_only_final",
                "ALTER TABLE keys_key ADD CONSTRAINT key_compromised_only_final "
                f"CHECK (compromised_since IS NULL OR status IN ({listed(FINAL)})) NOT VALID",
                "ALTER TABLE keys_key VALIDATE CONSTRAINT key_compromised_only_final",
                "ALTER TABLE keys_key DROP CONSTRAINT IF EXISTS key_compromised_only_revoked",
            ],
            postgresql_backwards=[
                "ALTER TABLE keys_key ADD CONSTRAINT key_compromised_only_revoked "
                "CHECK (compromised_since IS NULL OR status = 'revoked')",
                "ALTER TABLE keys_key DROP CONSTRAINT key_compromised_only_final",
                "ALTER TABLE keys_key ADD CONSTRAINT keys_key_replaces_id_key UNIQUE (replaces_id)",
                "DROP INDEX CONCURRENTLY key_one_living_successor",
                "DROP INDEX CONCURRENTLY key_by_predecessor",
            ],
        ),
    ]
