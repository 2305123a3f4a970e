from typing import Any

from django.db import migrations

from accounts.roles import sync_roles


def forwards(apps: Any, schema_editor: Any) -> None:
    sync_roles(apps, ["accounts", "keys", "schemas"])


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_audit_append_only"),
        ("keys", "0001_initial"),
        ("schemas", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(forwards, migrations.RunPython.noop)]
