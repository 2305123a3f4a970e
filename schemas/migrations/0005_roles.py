from django.db import migrations

from accounts.roles import sync_roles


def sync(apps, schema_editor):
    sync_roles(apps, ["schemas"])


class Migration(migrations.Migration):
    dependencies = [
        ("schemas", "0004_validation_job"),
        ("accounts", "0003_roles"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(sync, migrations.RunPython.noop)]
