from typing import Any

from django.db import migrations

from accounts.roles import sync_roles


def forwards(apps: Any, schema_editor: Any) -> None:
    sync_roles(apps, ["accounts"])


class Migration(migrations.Migration):
    dependencies = [("accounts", "0008_webhooks")]

    operations = [migrations.RunPython(forwards, migrations.RunPython.noop)]
