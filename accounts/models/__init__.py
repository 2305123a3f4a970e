from accounts.models.audit import AuditEvent
from accounts.models.checkpoint import AuditCheckpoint, AuditSeal
from accounts.models.client import Client, ClientStatus, Profile, Scope
from accounts.models.job import JobRun
from accounts.models.user import User
from accounts.models.webhook import (
    DeliveryStatus,
    Webhook,
    WebhookAttempt,
    WebhookCursor,
    WebhookDelivery,
    WebhookStatus,
)

__all__ = [
    "AuditCheckpoint",
    "AuditEvent",
    "AuditSeal",
    "Client",
    "ClientStatus",
    "DeliveryStatus",
    "JobRun",
    "Profile",
    "Scope",
    "User",
    "Webhook",
    "WebhookAttempt",
    "WebhookCursor",
    "WebhookDelivery",
    "WebhookStatus",
]
