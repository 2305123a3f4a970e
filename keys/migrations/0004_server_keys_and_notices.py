import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("keys", "0003_operators_console"),
    ]

    operations = [
        migrations.CreateModel(
            name="DailySummary",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("created_at", models.DateTimeField()),
                (
                    "claimed_at",
                    models.DateTimeField(help_text="When a worker last took it to send it.", null=True),
                ),
                ("sent_at", models.DateTimeField(null=True)),
                ("day", models.DateField(unique=True)),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="ExpiryWarning",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("created_at", models.DateTimeField()),
                (
                    "claimed_at",
                    models.DateTimeField(help_text="When a worker last took it to send it.", null=True),
                ),
                ("sent_at", models.DateTimeField(null=True)),
                ("days", models.PositiveSmallIntegerField()),
                (
                    "expires_at",
                    models.DateTimeField(
                        help_text="The end that is warned of: a prolonged key is warned of anew."
                    ),
                ),
                (
                    "audience",
                    models.CharField(
                        choices=[("contact", "Contact"), ("operators", "Operators")], max_length=16
                    ),
                ),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="RotationNotice",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("created_at", models.DateTimeField()),
                (
                    "claimed_at",
                    models.DateTimeField(help_text="When a worker last took it to send it.", null=True),
                ),
                ("sent_at", models.DateTimeField(null=True)),
                ("rotate_by", models.DateTimeField()),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="ServerKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "thumbprint",
                    models.CharField(help_text="RFC 7638, base64url.", max_length=43, unique=True),
                ),
                ("algorithm", models.CharField(max_length=32)),
                ("jwk", models.JSONField(help_text="The public half.")),
                (
                    "secret",
                    models.TextField(
                        editable=False, help_text="Thumbprint and private half, encrypted (Fernet)."
                    ),
                ),
                ("active", models.BooleanField(default=True)),
                ("created_at", models.DateTimeField()),
                ("retired_at", models.DateTimeField(blank=True, null=True)),
                (
                    "published_until",
                    models.DateTimeField(
                        blank=True, help_text="When nothing that it signed is fresh any more.", null=True
                    ),
                ),
                (
                    "forgotten_at",
                    models.DateTimeField(
                        blank=True, help_text="When the private half was destroyed.", null=True
                    ),
                ),
            ],
            options={
                "ordering": ["-created_at"],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="UsageFlush",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=200, unique=True)),
                ("flushed_at", models.DateTimeField(db_index=True)),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.AddIndex(
            model_name="key",
            index=models.Index(fields=["status", "expires_at"], name="key_by_status_expiry"),
        ),
        migrations.AddIndex(
            model_name="key",
            index=models.Index(
                condition=models.Q(("rotate_by__isnull", False)),
                fields=["rotate_by"],
                name="key_by_rotate_by",
            ),
        ),
        migrations.AddField(
            model_name="expirywarning",
            name="key",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="expiry_warnings", to="keys.key"
            ),
        ),
        migrations.AddField(
            model_name="rotationnotice",
            name="key",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="rotation_notices", to="keys.key"
            ),
        ),
        migrations.AddConstraint(
            model_name="serverkey",
            constraint=models.UniqueConstraint(
                condition=models.Q(("active", True)), fields=("active",), name="server_key_one_active"
            ),
        ),
        migrations.AddConstraint(
            model_name="serverkey",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("active", True), ("retired_at__isnull", True)),
                    models.Q(
                        ("active", False), ("published_until__isnull", False), ("retired_at__isnull", False)
                    ),
                    _connector="OR",
                ),
                name="server_key_retired_with_dates",
            ),
        ),
        migrations.AddIndex(
            model_name="expirywarning",
            index=models.Index(
                condition=models.Q(("sent_at__isnull", True)), fields=["id"], name="expiry_warning_unsent"
            ),
        ),
        migrations.AddConstraint(
            model_name="expirywarning",
            constraint=models.UniqueConstraint(
                fields=("key", "days", "expires_at", "audience"), name="expiry_warning_once"
            ),
        ),
        migrations.AddIndex(
            model_name="rotationnotice",
            index=models.Index(
                condition=models.Q(("sent_at__isnull", True)), fields=["id"], name="rotation_notice_unsent"
            ),
        ),
        migrations.AddConstraint(
            model_name="rotationnotice",
            constraint=models.UniqueConstraint(fields=("key", "rotate_by"), name="rotation_notice_once"),
        ),
    ]
