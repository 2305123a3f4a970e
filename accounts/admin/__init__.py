"""The operators' pages on clients, operators and the audit log."""

from accounts.admin import audit, clients, operators, webhooks

__all__ = ["audit", "clients", "operators", "webhooks"]
