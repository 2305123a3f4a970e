from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("keys", "0007_approvals_by_outsiders"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="refusal",
            options={
                "default_permissions": ("view",),
                "ordering": ["-id"],
                "verbose_name": "refused request",
            },
        ),
    ]
