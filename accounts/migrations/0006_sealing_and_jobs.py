import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_roles_console"),
    ]

    operations = [
        migrations.CreateModel(
            name="JobRun",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=64, unique=True)),
                ("last_started", models.DateTimeField(null=True)),
                (
                    "last_finished",
                    models.DateTimeField(help_text="End of the last run that succeeded.", null=True),
                ),
                (
                    "complete_until",
                    models.DateTimeField(
                        help_text="Start of the last run that succeeded: what was due by then is done.",
                        null=True,
                    ),
                ),
                (
                    "last_result",
                    models.JSONField(
                        default=dict, help_text="What the last run that succeeded did, in numbers."
                    ),
                ),
                (
                    "last_error",
                    models.CharField(
                        blank=True, help_text="Why the last run failed; empty if it did not.", max_length=500
                    ),
                ),
            ],
            options={
                "ordering": ["name"],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="AuditCheckpoint",
            fields=[
                (
                    "number",
                    models.PositiveBigIntegerField(
                        help_text="1, 2, 3 …, without a gap.", primary_key=True, serialize=False
                    ),
                ),
                ("batch_size", models.PositiveIntegerField()),
                (
                    "tree_size",
                    models.PositiveBigIntegerField(help_text="Events sealed up to and with this checkpoint."),
                ),
                (
                    "root",
                    models.CharField(
                        help_text="Root of the batch's Merkle tree, hexadecimal.", max_length=64
                    ),
                ),
                (
                    "previous",
                    models.CharField(
                        help_text="Hash of the checkpoint before, hexadecimal; zeros for the first.",
                        max_length=64,
                    ),
                ),
                ("sealed_at", models.DateTimeField()),
                (
                    "complete_until",
                    models.DateTimeField(
                        help_text="Every event that was visible then is sealed with this checkpoint or before.",
                        null=True,
                    ),
                ),
                ("thumbprint", models.CharField(help_text="Of the server key that signed.", max_length=43)),
                ("jwk", models.JSONField(help_text="Its public half, to verify without this server.")),
                ("algorithm", models.CharField(max_length=32)),
                ("signature", models.BinaryField()),
            ],
            options={
                "ordering": ["-number"],
                "default_permissions": ("view",),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("number__gte", 1)), name="checkpoint_number_from_one"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("batch_size__gte", 1)), name="checkpoint_not_empty"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="AuditSeal",
            fields=[
                (
                    "event",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="seal",
                        serialize=False,
                        to="accounts.auditevent",
                    ),
                ),
                ("index", models.PositiveIntegerField(help_text="Place in the batch, from 0.")),
                ("leaf_hash", models.BinaryField(help_text="RFC 6962 §2.1, 32 bytes.")),
                (
                    "checkpoint",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="seals",
                        to="accounts.auditcheckpoint",
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=("checkpoint", "index"), name="seal_place_once")
                ],
            },
        ),
    ]
