"""The operators' pages on clients, operators and the audit log."""

from accounts.admin import audit, clients, operators

__all__ = ["audit", "clients", "operators"]
