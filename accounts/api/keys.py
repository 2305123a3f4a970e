"""Operators' calls about keys: see what waits, decide, each decision bound to what was seen."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar, Final

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import (
    OPERATOR_ERRORS,
    OperatorView,
    PermissionMissing,
    acting_operator,
    actor,
    model_errors,
)
from accounts.api.key_serializers import DECISION_BODIES, KeyDetailSerializer, KeyFilter
from accounts.models import User
from keys import four_eyes
from keys.api.serializers import KeySerializer
from keys.decisions import (
    RULES,
    Details,
    Verb,
    allowed_verbs,
    decide,
    load,
    record_refusal,
    snapshot,
)
from keys.errors import KeyNotFound
from keys.models import Key, KeyStatus
from project.api.envelope import ApiResponse
from project.api.openapi import PAGE, enveloped
from project.context import current_context

TAGS: Final = ["operators: keys"]
DECISION_ERRORS = [
    *OPERATOR_ERRORS,
    "KEY_NOT_FOUND",
    "DECISION_STALE",
    "KEY_STATE_CONFLICT",
    "REASON_MISSING",
    "FOUR_EYES_REFUSED",
    "VALIDATION_FAILED",
]
FILTERS = {"client_id": "client__client_id", "expires_before": "expires_at__lt"}


class KeysView(OperatorView):
    permissions = {"GET": "keys.view_key"}
    ordering = ("-registered_at", "-id")

    @extend_schema(
        operation_id="operators_keys_list",
        tags=TAGS,
        summary="List keys, newest first",
        parameters=[*PAGE, KeyFilter],
        responses=enveloped(KeySerializer, many=True, errors=[*OPERATOR_ERRORS, "VALIDATION_FAILED"]),
    )
    def get(self, request: Request) -> Response:
        wanted = self.filters(KeyFilter)
        rows = Key.objects.select_related("client").filter(
            **{FILTERS.get(name, name): value for name, value in wanted.items()}
        )
        return self.page(rows, KeySerializer)


class KeyView(OperatorView):
    permissions = {"GET": "keys.view_key"}

    @extend_schema(
        tags=TAGS,
        summary="One key, with what a decision needs",
        description="Hand `seen` back with the decision: it is refused if anything relevant changed in between.",
        responses=enveloped(KeyDetailSerializer, errors=[*OPERATOR_ERRORS, "KEY_NOT_FOUND"]),
    )
    def get(self, request: Request, key_id: uuid.UUID) -> ApiResponse:
        return ApiResponse(detail(request, loaded(key_id)))


class DecisionView(OperatorView):
    """One kind of decision on one key."""

    verb: ClassVar[Verb]

    def decide(self, request: Request, key_id: uuid.UUID) -> ApiResponse:
        wish = self.body(DECISION_BODIES[self.verb])
        seen, thumbprint = wish.pop("seen", None), wish.pop("thumbprint", "")
        loaded(key_id)  # of one that is not there nothing goes on record
        with model_errors():
            key = decide(
                key_id,
                self.verb,
                actor=actor(request),
                seen=seen,
                details=Details(**wish),
                thumbprint=thumbprint,
            )
        meta: dict[str, Any] = {
            "action": f"key_{self.verb.value}",
            "created_by": acting_operator(request).get_username(),
        }
        if self.verb is Verb.APPROVE and key.status == KeyStatus.PENDING:
            meta["action"] = "key_approval_recorded"
            current_context().warnings.append(
                "Your approval is recorded. The key stays pending until another operator approves it too."
            )
        return ApiResponse(detail(request, loaded(key_id)), meta=meta)

    def note_refusal(self, user: User, code: str) -> None:
        """`decide` has put it on record, under the key."""

    def check_permissions(self, request: Request) -> None:
        """As every operators' call; an attempt that the role does not allow is on record."""
        try:
            super().check_permissions(request)
        except PermissionMissing as refusal:
            record_refusal(self.kwargs["key_id"], self.verb, actor=actor(request), code=refusal.code)
            raise


def decision_view(verb: Verb, summary: str, description: str = "") -> type[DecisionView]:
    """The view of one verb; its body is its row of `DECISION_BODIES`."""

    class View(DecisionView):
        permissions = {"POST": RULES[verb].permission}

        @extend_schema(
            tags=TAGS,
            summary=summary,
            description=description,
            request=DECISION_BODIES[verb],
            responses=enveloped(KeyDetailSerializer, errors=DECISION_ERRORS),
        )
        def post(self, request: Request, key_id: uuid.UUID) -> ApiResponse:
            return self.decide(request, key_id)

    View.verb = verb
    View.__name__ = View.__qualname__ = f"Key{verb.value.title().replace('_', '')}View"
    return View


ApproveView = decision_view(
    Verb.APPROVE,
    "Approve a pending key",
    "Under four eyes the first approval leaves it pending; the second is another operator's, on the same terms.",
)
RejectView = decision_view(Verb.REJECT, "Reject a pending key; the client sees the reason")
SuspendView = decision_view(Verb.SUSPEND, "Suspend an active key")
ReactivateView = decision_view(Verb.REACTIVATE, "Reactivate a suspended key; needs a reason")
RevokeView = decision_view(Verb.REVOKE, "Revoke a key; it cannot be undone")
RequestRotationView = decision_view(
    Verb.REQUEST_ROTATION,
    "Ask the client to rotate an active key by a date",
    "Without `rotate_by`: in 14 days.",
)
RollBackView = decision_view(Verb.ROLL_BACK, "Make a retiring key active again; needs a reason")
RetireView = decision_view(Verb.RETIRE, "Retire a retiring key before its grace is over")
ReportCompromiseView = decision_view(
    Verb.REPORT_COMPROMISE,
    "Report as compromised a key that is retired, expired or revoked; needs a reason",
    "What it signed since then is suspect. Reporting again moves the moment. A key that still verifies is revoked.",
)


def loaded(key_id: uuid.UUID) -> Key:
    """Raises `KeyNotFound`."""
    found = load([key_id])
    if not found:
        raise KeyNotFound("There is no such key.")
    return found[0]


def detail(request: Request, key: Key) -> dict[str, Any]:
    user = acting_operator(request)
    data: dict[str, Any] = KeyDetailSerializer(key).data
    return {
        **data,
        "approvals_needed": four_eyes.approvals_needed(key),
        "decisions": [verb.value for verb in allowed_verbs(key, user.has_perm)],
        "seen": snapshot(key),
    }
