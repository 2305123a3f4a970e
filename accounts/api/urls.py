"""The operators' calls under /api/v1/, and the clients' about webhooks."""

from __future__ import annotations

from django.urls import URLPattern

from accounts.api import clients, enrolment, events, keys, tokens, users, webhooks
from accounts.api.audit import CheckpointListView, EventProofView, LatestCheckpointView
from project.api.routes import route

_KEY = "operators/keys/<uuid:key_id>"
_USER = "operators/users/<int:user_id>"
_CLIENT = "operators/clients/<str:client_id>"
_WEBHOOK = "webhooks/<uuid:webhook_id>"
_DELIVERY = f"{_WEBHOOK}/deliveries/<uuid:delivery_id>"

urlpatterns: list[URLPattern] = [
    *route("operators/tokens", tokens.TokensView.as_view(), "operator-tokens"),
    *route("operators/tokens/refresh", tokens.RefreshView.as_view(), "operator-tokens-refresh"),
    *route("operators/tokens/revoke", tokens.RevokeView.as_view(), "operator-tokens-revoke"),
    *route("operators/me", tokens.MeView.as_view(), "operator-me"),
    *route("operators/users", users.UsersView.as_view(), "operator-users"),
    *route(_USER, users.UserView.as_view(), "operator-user"),
    *route(f"{_USER}/role", users.UserRoleView.as_view(), "operator-user-role"),
    *route(f"{_USER}/deactivate", users.UserDeactivateView.as_view(), "operator-user-deactivate"),
    *route(f"{_USER}/reactivate", users.UserReactivateView.as_view(), "operator-user-reactivate"),
    *route(f"{_USER}/password", users.UserPasswordView.as_view(), "operator-user-password"),
    *route(
        f"{_USER}/reset-second-factor",
        users.UserResetSecondFactorView.as_view(),
        "operator-user-reset-second-factor",
    ),
    *route(f"{_USER}/unlock", users.UserUnlockView.as_view(), "operator-user-unlock"),
    *route("operators/clients", clients.ClientsView.as_view(), "operator-clients"),
    *route(_CLIENT, clients.ClientView.as_view(), "operator-client"),
    *route(f"{_CLIENT}/suspend", clients.ClientSuspendView.as_view(), "operator-client-suspend"),
    *route(f"{_CLIENT}/reactivate", clients.ClientReactivateView.as_view(), "operator-client-reactivate"),
    *route("operators/keys", keys.KeysView.as_view(), "operator-keys"),
    *route(_KEY, keys.KeyView.as_view(), "operator-key"),
    *route(f"{_KEY}/approve", keys.ApproveView.as_view(), "operator-key-approve"),
    *route(f"{_KEY}/reject", keys.RejectView.as_view(), "operator-key-reject"),
    *route(f"{_KEY}/suspend", keys.SuspendView.as_view(), "operator-key-suspend"),
    *route(f"{_KEY}/reactivate", keys.ReactivateView.as_view(), "operator-key-reactivate"),
    *route(f"{_KEY}/revoke", keys.RevokeView.as_view(), "operator-key-revoke"),
    *route(f"{_KEY}/request-rotation", keys.RequestRotationView.as_view(), "operator-key-request-rotation"),
    *route(f"{_KEY}/roll-back", keys.RollBackView.as_view(), "operator-key-roll-back"),
    *route(f"{_KEY}/retire", keys.RetireView.as_view(), "operator-key-retire"),
    *route(
        f"{_KEY}/report-compromise", keys.ReportCompromiseView.as_view(), "operator-key-report-compromise"
    ),
    *route(
        "operators/enrolment-tokens", enrolment.EnrolmentTokensView.as_view(), "operator-enrolment-tokens"
    ),
    *route("operators/audit/events", events.AuditEventsView.as_view(), "operator-audit-events"),
    *route("operators/audit/events/<int:event_id>", events.AuditEventView.as_view(), "operator-audit-event"),
    *route("audit/checkpoints", CheckpointListView.as_view(), "audit-checkpoints"),
    *route("audit/checkpoints/latest", LatestCheckpointView.as_view(), "audit-checkpoint-latest"),
    *route("audit/events/<int:event_id>/proof", EventProofView.as_view(), "audit-event-proof"),
    *route("webhooks", webhooks.WebhooksView.as_view(), "webhooks"),
    *route(_WEBHOOK, webhooks.WebhookView.as_view(), "webhook"),
    *route(f"{_WEBHOOK}/test", webhooks.WebhookTestView.as_view(), "webhook-test"),
    *route(f"{_WEBHOOK}/deliveries", webhooks.DeliveriesView.as_view(), "webhook-deliveries"),
    *route(_DELIVERY, webhooks.DeliveryView.as_view(), "webhook-delivery"),
    *route(f"{_DELIVERY}/redeliver", webhooks.RedeliverView.as_view(), "webhook-redeliver"),
]
