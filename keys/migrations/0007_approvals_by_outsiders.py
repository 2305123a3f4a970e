from django.db import migrations

from project.db.triggers import RefuseWriteAfterLookup


def parties(key: str) -> str:
    """Who stands behind a key: registered the client, owns or ever owned it, issued the enrolment token."""
    client = f"(SELECT client_id FROM keys_key WHERE id = {key})"  # noqa: S608
    return (
        f"SELECT user_id FROM accounts_client_owners_ever WHERE client_id = {client} "  # noqa: S608
        f"UNION ALL SELECT registered_by_id FROM accounts_client "
        f"WHERE id = {client} AND registered_by_id IS NOT NULL "
        f"UNION ALL SELECT issued_by_id FROM keys_enrolmenttoken "
        f"WHERE used_for_id = {key} AND issued_by_id IS NOT NULL"
    )


OTHERS = (
    f"SELECT COUNT(*) FROM keys_approval WHERE key_id = NEW.id AND operator_id NOT IN ({parties('NEW.id')})"  # noqa: S608
)
TOO_FEW = (
    "OLD.status = 'pending' AND NEW.status = 'active' AND NEW.approvals_needed > 1 AND "
    f"({OTHERS}) < NEW.approvals_needed"
)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0011_owners_ever"),
        ("keys", "0006_hour_totals"),
    ]

    operations = [
        RefuseWriteAfterLookup(
            "approval_by_outsider",
            "keys_approval",
            "INSERT",
            "who stands behind a key does not approve it",
            f"NEW.operator_id IN ({parties('NEW.key_id')})",
        ),
        RefuseWriteAfterLookup(
            "key_needs_outsiders",
            "keys_key",
            "UPDATE",
            "the key needs approvals by more operators who do not stand behind it",
            TOO_FEW,
        ),
    ]
