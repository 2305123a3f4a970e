"""The three roles and what each may do.

Roles are Django groups. This table is the source; `sync_roles` writes it to the database and
is called by migrations, so a change of the table needs a migration that calls it again.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any


class Role(StrEnum):
    """Strongest first."""

    ADMIN = "admin"
    MANAGER = "manager"
    AUDITOR = "auditor"


MANAGED = {
    "accounts": ["client", "webhook"],
    "keys": ["key", "enrolmenttoken"],
    "schemas": ["schema", "schemaversion"],
}
READ_ONLY = {
    "accounts": ["auditevent", "auditcheckpoint", "jobrun", "user", "webhookdelivery"],
    "keys": ["refusal", "approval", "serverkey"],
    "schemas": ["validationjob"],
}

# Custom permissions of the models (see each model's Meta) that a manager holds.
DECISIONS = [
    "suspend_client",
    "approve_key",
    "reject_key",
    "suspend_key",
    "reactivate_key",
    "revoke_key",
    "request_rotation",
    "approve_schema",
    "block_schema",
    "deprecate_schema",
]


def sync_roles(apps: Any, app_labels: list[str]) -> None:
    """Create the groups and give each the permissions of the table above.

    Args:
        apps: the app registry of the migration (or the live one).
        app_labels: apps whose permissions may not exist yet; they are created first, because
            Django only creates them after all migrations have run.
    """
    from django.apps import apps as live_apps
    from django.contrib.auth.management import create_permissions

    for label in app_labels:
        create_permissions(live_apps.get_app_config(label), apps=apps, verbosity=0)
    permission_model = apps.get_model("auth", "Permission")
    group_model = apps.get_model("auth", "Group")

    viewable = {
        (app, model) for table in (MANAGED, READ_ONLY) for app, models in table.items() for model in models
    }
    managed = {(app, model) for app, models in MANAGED.items() for model in models}
    grants: dict[Role, set[int]] = {role: set() for role in Role}
    for permission in permission_model.objects.select_related("content_type").filter(
        content_type__app_label__in=["accounts", "keys", "schemas"]
    ):
        target = (permission.content_type.app_label, permission.content_type.model)
        verb = permission.codename.split("_", 1)[0]
        grants[Role.ADMIN].add(permission.pk)
        if verb == "view" and target in viewable:
            grants[Role.AUDITOR].add(permission.pk)
            grants[Role.MANAGER].add(permission.pk)
        if target in managed and (verb in {"add", "change"} or permission.codename in DECISIONS):
            grants[Role.MANAGER].add(permission.pk)
    for role, permission_ids in grants.items():
        group, _ = group_model.objects.get_or_create(name=role.value)
        group.permissions.set(permission_ids)
