"""Refusals around webhooks."""

from __future__ import annotations

from project.errors import DomainError


class WebhookUrlRefused(DomainError):
    """The server would never send to this URL."""

    code = "WEBHOOK_URL_REFUSED"


class WebhookStateConflict(DomainError):
    """The subscription or delivery is in a state that does not admit this."""

    code = "WEBHOOK_STATE_CONFLICT"


class WebhookLimitReached(DomainError):
    """The client has as many subscriptions as it may have."""

    code = "WEBHOOK_LIMIT_REACHED"


class WebhookNotFound(DomainError):
    """There is no such thing, or it is somebody else's."""

    code = "NOT_FOUND"


class WebhookTestsTooOften(DomainError):
    """A test holds a worker for as long as the receiver likes, within the limit, so they are rationed."""

    code = "RATE_LIMITED"


class WebhookTestNotSent(DomainError):
    """No worker could be told of it."""

    code = "SERVICE_UNAVAILABLE"
