from typing import Any

from django.db import migrations

from accounts.roles import sync_roles
from project.db.triggers import RefuseWrite


def forwards(apps: Any, schema_editor: Any) -> None:
    sync_roles(apps, ["accounts", "keys", "schemas"])


class Migration(migrations.Migration):
    dependencies = [("accounts", "0006_sealing_and_jobs"), ("keys", "0004_server_keys_and_notices")]

    operations = [
        *(
            RefuseWrite(
                f"audit_{table}_no_{event.lower()}",
                f"accounts_audit{table}",
                event,
                "the audit log is append-only",
            )
            for table in ("checkpoint", "seal")
            for event in ("UPDATE", "DELETE")
        ),
        migrations.RunPython(forwards, migrations.RunPython.noop),
    ]
