from django.db import migrations

from project.db.triggers import RefuseTruncate


class Migration(migrations.Migration):
    dependencies = [("keys", "0008_refused_requests")]

    operations = [
        RefuseTruncate("key_no_truncate", "keys_key", "a key is registered once and never deleted"),
        RefuseTruncate("approval_no_truncate", "keys_approval", "an approval is never deleted"),
    ]
