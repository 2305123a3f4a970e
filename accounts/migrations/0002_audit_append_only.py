from django.db import migrations

from project.db.triggers import RefuseWrite


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]

    operations = [
        RefuseWrite(
            f"audit_event_no_{event.lower()}",
            "accounts_auditevent",
            event,
            "the audit log is append-only",
        )
        for event in ("UPDATE", "DELETE")
    ]
