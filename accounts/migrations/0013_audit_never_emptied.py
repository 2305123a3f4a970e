from django.db import migrations

from project.db.triggers import RefuseTruncate


class Migration(migrations.Migration):
    dependencies = [("accounts", "0012_session_epoch")]

    operations = [
        RefuseTruncate(f"audit_{table}_no_truncate", f"accounts_audit{table}", "the audit log is append-only")
        for table in ("event", "checkpoint", "seal")
    ]
