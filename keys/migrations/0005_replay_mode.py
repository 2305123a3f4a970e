from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("keys", "0004_server_keys_and_notices")]

    operations = [
        migrations.CreateModel(
            name="ReplayMode",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "store",
                    models.CharField(
                        choices=[("redis", "Redis"), ("database", "Database")], default="redis", max_length=16
                    ),
                ),
                ("since", models.FloatField(default=0, help_text="Unix seconds.", null=True)),
                ("generation", models.PositiveBigIntegerField(default=1)),
                (
                    "redis_missed_at",
                    models.FloatField(
                        default=0,
                        help_text="When a worker last found Redis away while the database counts; Unix seconds.",
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("pk", 1)), name="replay_mode_one_row")
                ],
            },
        ),
    ]
