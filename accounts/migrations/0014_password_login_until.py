from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0013_audit_never_emptied"),
    ]

    operations = [
        # Nullable without a default: SQLite adds such a column without rebuilding the table.
        migrations.AddField(
            model_name="user",
            name="password_login_until",
            field=models.DateTimeField(
                editable=False,
                help_text="Until then the password counts although single sign-on is demanded.",
                null=True,
            ),
        ),
    ]
