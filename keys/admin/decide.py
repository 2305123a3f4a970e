"""One confirmation page for every decision, on one key or on up to a hundred.

GET shows what the decision rests on and what follows from it; only the POST decides. Each key is
decided for itself and bound to what this page showed of it (`keys.decisions`): what changed
meanwhile is refused and shown again.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone

from keys.admin.evidence import Evidence, evidence_of
from keys.admin.forms import FORMS, ConfirmTermsForm, DecisionForm
from keys.admin.wording import WORDS, words_of_approval
from keys.decisions import (
    RULES,
    Change,
    DecisionForbidden,
    DecisionStale,
    Details,
    Verb,
    decide,
    load,
    record_refusal,
    snapshot,
)
from keys.four_eyes import agreed_terms
from keys.impact import Suspects, impact_of, suspects_of
from keys.models import Key, KeyStatus
from project.admin_base import DeniedOnRecord, operator, shown
from project.charts import columns
from project.errors import DomainError

MOST_AT_ONCE = 100
WITH_EVIDENCE = {Verb.APPROVE, Verb.REJECT}
WITH_IMPACT = {Verb.SUSPEND, Verb.REVOKE, Verb.RETIRE}
WITH_SUSPECTS = {Verb.REVOKE, Verb.REPORT_COMPROMISE}
MOST_PREVIEWED = 10


@dataclass(slots=True)
class Item:
    """One key on the page: what is known, the token of what is shown, and why it was refused."""

    evidence: Evidence
    seen: str
    possible: bool
    changes: list[Change] = field(default_factory=list)
    refusal: str = ""


def decision_view(model_admin: Any, request: HttpRequest, verb: str) -> HttpResponse:
    """GET: the confirmation page. POST: decide, or preview what a compromise touches."""
    chosen = _verb(verb)
    if not request.user.has_perm(RULES[chosen].permission):
        raise _forbidden(request, chosen)
    from_queue = request.GET.get("from") == "queue"
    if from_queue and not _named(request):
        messages.warning(request, "Select at least one key first.")
        return redirect("admin:keys_key_queue")
    keys = _keys(request)
    form = _form(chosen, keys, request)
    if request.method != "POST" or ("confirmed" not in request.POST and "preview" not in request.POST):
        return _page(model_admin, request, chosen, keys, form)
    if not form.is_valid() or "preview" in request.POST:
        return _page(model_admin, request, chosen, keys, form)
    refused = _decide_each(request, chosen, keys, form.details())
    if refused:
        return _page(
            model_admin, request, chosen, load([key.pk for key in keys if key.pk in refused]), form, refused
        )
    if from_queue:
        return redirect("admin:keys_key_queue")
    return redirect("admin:keys_key_change", keys[0].pk) if len(keys) == 1 else redirect(_after_bulk(chosen))


def _decide_each(
    request: HttpRequest, verb: Verb, keys: list[Key], details: Details
) -> dict[uuid.UUID, DomainError]:
    """Decide key by key; say what was done; answer with what was refused."""
    refused: dict[uuid.UUID, DomainError] = {}
    done: list[Key] = []
    for key in keys:
        seen = request.POST.get(f"seen_{key.pk}", "")
        own = (
            details
            if agreed_terms(key) is None
            else replace(details, expires_at=None, scopes=None, profile=None)
        )
        try:
            done.append(decide(key.pk, verb, actor=operator(request), seen=seen, details=own))
        except DomainError as error:
            refused[key.pk] = error
        except ValidationError as error:
            refused[key.pk] = DomainError(" ".join(error.messages))
        except IntegrityError as error:
            refused[key.pk] = DomainError(f"The database refused this: {error}.")
    _report(request, verb, done)
    return refused


def _forbidden(request: HttpRequest, verb: Verb) -> PermissionDenied:
    """A forged attempt is on record; one event, whatever it named."""
    try:
        named = uuid.UUID(request.POST.getlist("key")[0])
    except (IndexError, ValueError):
        return PermissionDenied()
    record_refusal(named, verb, actor=operator(request), code=DecisionForbidden.code)
    return DeniedOnRecord()


def _report(request: HttpRequest, verb: Verb, done: list[Key]) -> None:
    waiting = [key for key in done if verb is Verb.APPROVE and key.status == KeyStatus.PENDING]
    decided = [key for key in done if key not in waiting]
    if decided:
        names = ", ".join(str(key) for key in decided[:5]) + ("…" if len(decided) > 5 else "")
        plural = "key" if len(decided) == 1 else "keys"
        messages.success(request, f"{len(decided)} {plural} {WORDS[verb].done}: {names}.")
    if waiting:
        names = ", ".join(str(key) for key in waiting[:5])
        messages.info(request, f"Your approval is recorded: {names}. Another operator must approve too.")


def _page(
    model_admin: Any,
    request: HttpRequest,
    verb: Verb,
    keys: list[Key],
    form: DecisionForm,
    refused: dict[uuid.UUID, DomainError] | None = None,
) -> HttpResponse:
    rule, words = RULES[verb], WORDS[verb]
    items = [_item(evidence, rule.sources, refused or {}) for evidence in evidence_of(keys)]
    possible = [item for item in items if item.possible]
    if verb is Verb.APPROVE:
        words = words_of_approval([item.evidence.approvals_missing(request.user.pk) for item in possible])
    subject = str(keys[0]) if len(keys) == 1 else f"{len(keys)} keys"
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "title": f"{words.title}: {subject}",
        "verb": verb.value,
        "words": words,
        "items": items,
        "possible": possible,
        "form": form,
        "refused": bool(refused),
        "now": timezone.now(),
        "shows_evidence": verb in WITH_EVIDENCE,
        "lists_suspects": verb in WITH_SUSPECTS,
        "may_see_audit": request.user.has_perm("accounts.view_auditevent"),
        "from_queue": request.GET.get("from") == "queue",
        **_impact(verb, [item.evidence.key for item in possible]),
        **_suspects(verb, form, [item.evidence.key for item in possible]),
    }
    return TemplateResponse(request, "keys/decide.html", context, status=409 if refused else 200)


def _item(evidence: Evidence, sources: frozenset[KeyStatus], refused: dict[uuid.UUID, DomainError]) -> Item:
    key = evidence.key
    item = Item(evidence, snapshot(key), KeyStatus(key.status) in sources)
    error = refused.get(key.pk)
    if error is not None:
        item.refusal = error.message
    if isinstance(error, DecisionStale):
        item.changes = [
            Change(change.fact, shown(change.seen), shown(change.now)) for change in error.changes
        ]
    return item


def _impact(verb: Verb, keys: list[Key]) -> dict[str, Any]:
    if verb not in WITH_IMPACT or not keys:
        return {}
    impact = impact_of(keys, now=timezone.now())
    chart = columns(
        [f"{day:%a %d}" for day, _ in impact.days],
        {"verified": [count for _, count in impact.days]},
        description="Verified requests per day of the last week",
    )
    return {"impact": impact, "impact_chart": chart, "successors": list(impact.successors.values())}


def _suspects(verb: Verb, form: DecisionForm, keys: list[Key]) -> dict[str, Any]:
    """What the keys signed since the moment in the form, if there is one."""
    since = getattr(form, "cleaned_data", {}).get("compromised_since") if form.is_bound else None
    if verb not in WITH_SUSPECTS or since is None:
        return {}
    found: list[tuple[Key, Suspects]] = [
        (key, suspects_of(key, since=since)) for key in keys[:MOST_PREVIEWED]
    ]
    return {"suspects": found, "since": since, "not_listed": keys[MOST_PREVIEWED:]}


def _form(verb: Verb, keys: list[Key], request: HttpRequest) -> DecisionForm:
    kind = FORMS[verb]
    if verb is Verb.APPROVE and len(keys) == 1 and agreed_terms(keys[0]):
        kind = ConfirmTermsForm
    return kind(request.POST if request.method == "POST" else None, keys=keys)


def _named(request: HttpRequest) -> list[str]:
    return (request.POST if request.method == "POST" else request.GET).getlist("key")


def _keys(request: HttpRequest) -> list[Key]:
    try:
        ids = list(dict.fromkeys(uuid.UUID(one) for one in _named(request)))
    except ValueError as error:
        raise Http404 from error
    keys = load(ids[:MOST_AT_ONCE])
    if not keys:
        raise Http404
    return keys


def _verb(verb: str) -> Verb:
    try:
        return Verb(verb)
    except ValueError as error:
        raise Http404 from error


def _after_bulk(verb: Verb) -> str:
    return "admin:keys_key_queue" if verb in WITH_EVIDENCE else "admin:keys_key_changelist"
