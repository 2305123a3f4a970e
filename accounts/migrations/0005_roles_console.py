from typing import Any

from django.db import migrations

from accounts.lookalikes import skeleton
from accounts.roles import sync_roles


def fold_names(apps: Any, schema_editor: Any) -> None:
    client_model = apps.get_model("accounts", "Client")
    for client in client_model.objects.only("client_id", "name").iterator(chunk_size=1000):
        client_model.objects.filter(pk=client.pk).update(
            skeleton=skeleton(client.client_id), name_skeleton=skeleton(client.name)
        )


def grant(apps: Any, schema_editor: Any) -> None:
    sync_roles(apps, ["accounts", "keys"])


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_operators_console"),
        ("keys", "0003_operators_console"),
    ]

    operations = [
        migrations.RunPython(fold_names, migrations.RunPython.noop),
        migrations.RunPython(grant, migrations.RunPython.noop),
    ]
