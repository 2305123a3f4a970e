"""What an admin does for another operator's account: one confirmation page, then a POST."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from allauth.mfa.models import Authenticator
from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from unfold.widgets import UnfoldAdminTextareaWidget

from accounts.account_help import reset_second_factor, unlock_operator
from accounts.authentication.guesses import all_locks_of
from accounts.models import User
from project.admin_base import note_refusal, operator
from project.errors import DomainError

FACTOR_NAMES = {
    Authenticator.Type.TOTP: "authenticator app",
    Authenticator.Type.WEBAUTHN: "passkey",
    Authenticator.Type.RECOVERY_CODES: "recovery codes",
}


class Act(NamedTuple):
    """`done` is said afterwards, of the operator's name."""

    title: str
    consequence: str
    undo: str
    done: str
    run: Callable[..., Any]
    danger: bool


ACTS = {
    "reset-second-factor": Act(
        "Reset the second factor",
        "Authenticator app, passkeys and recovery codes of this account are removed, and every session and token of "
        "it ends at once.",
        "The next sign-in takes the password alone. Make sure that it is really they who ask, by a way that a thief "
        "of the password does not have.",
        "has no second factor any more, and is signed out everywhere",
        reset_second_factor,
        True,
    ),
    "unlock": Act(
        "Lift the lock",
        "This account may try again at once from the addresses that are locked.",
        "If it was not they who failed, somebody is guessing the password: leave the lock alone, it ends by itself.",
        "may sign in again",
        unlock_operator,
        False,
    ),
}


class ActForm(forms.Form):
    reason = forms.CharField(
        max_length=500,
        strip=True,
        widget=UnfoldAdminTextareaWidget({"rows": 2}),
        help_text="Why, and how you know who asked. Kept in the audit log.",
    )


def act_view(model_admin: Any, request: HttpRequest, user_pk: int, act: str) -> HttpResponse:
    """GET: what follows. POST: do it."""
    user = User.objects.filter(pk=user_pk).first()
    if not model_admin.has_view_permission(request) or (user and not model_admin.may_decide(request, user)):
        raise PermissionDenied
    if user is None or act not in ACTS:
        raise Http404
    chosen, form, status = ACTS[act], ActForm(request.POST or None), 200
    if request.method == "POST" and form.is_valid():
        try:
            chosen.run(user, actor=operator(request), reason=form.cleaned_data["reason"])
        except DomainError as error:
            note_refusal(request, error.code)
            form.add_error(None, error.message)
            status = 409
        else:
            messages.success(request, f"{user.get_username()} {chosen.done}.")
            return redirect("admin:accounts_user_change", user.pk)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": f"{chosen.title}: {user.get_username()}",
        "operator": user,
        "act": chosen,
        "form": form,
        **account_state(user),
    }
    return TemplateResponse(request, "admin/operator_act.html", context, status=status)


def account_state(user: User) -> dict[str, Any]:
    """The second factors of an account, in words, and where it is locked out."""
    kinds = Authenticator.objects.filter(user_id=user.pk).order_by("type").values_list("type", flat=True)
    return {
        "factors": [FACTOR_NAMES.get(kind, kind) for kind in dict.fromkeys(kinds)],
        "locks": all_locks_of(user),
    }
