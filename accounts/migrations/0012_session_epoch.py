from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0011_owners_ever"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="user", options={"verbose_name": "operator", "verbose_name_plural": "operators"}
        ),
        # Nullable without a default: SQLite adds such a column without rebuilding the table.
        migrations.AddField(
            model_name="user",
            name="session_epoch",
            field=models.PositiveIntegerField(
                editable=False,
                help_text="How often every session of the account was ended at once; each session knows its own.",
                null=True,
            ),
        ),
    ]
