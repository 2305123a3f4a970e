"""One confirmation page for every decision on a schema or a version.

GET shows what the decision rests on; only the POST decides, and only on what the page showed.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from project.admin_base import note_refusal, operator
from project.errors import DomainError
from schemas import decisions, usage
from schemas.admin.forms import ReasonForm
from schemas.admin.verbs import VERBS, Verb
from schemas.models import Schema, SchemaVersion
from schemas.proof import prove
from schemas.references import referring_versions

CHANGED = "Somebody changed the schema since you opened this page. Nothing was done: look again, and decide."


def decide_schema(model_admin: Any, request: HttpRequest, pk: int, verb_name: str) -> HttpResponse:
    """GET: what would happen to the schema. POST: do it."""
    verb = VERBS.get(verb_name)
    if verb is None:
        raise Http404
    if not request.user.has_perm(verb.permission):
        raise PermissionDenied
    schema = Schema.objects.select_related("owner", "deprecated_for").filter(pk=pk).first()
    if schema is None:
        raise Http404
    form = verb.form(request.POST if request.method == "POST" else None)
    refusal = ""
    if request.method == "POST" and form.is_valid():
        refusal = _act(request, verb, schema, form.cleaned_data)
        if not refusal:
            messages.success(request, f"The schema {schema.name} is {verb.done}.")
            if verb.name == "erase":
                return redirect("admin:schemas_schema_changelist")
            return redirect("admin:schemas_schema_change", schema.pk)
        schema = Schema.objects.select_related("owner", "deprecated_for").filter(pk=pk).first() or schema
    context = {
        **model_admin.admin_site.each_context(request),
        "title": f"{verb.title}: {schema.name}",
        "verb": verb,
        "schema": schema,
        "possible": verb.possible(schema),
        "form": form,
        "refusal": refusal,
        "seen": snapshot(schema),
        "readers": usage.readers_of(schema)[:20],
        "referring": referring_versions(schema),
    }
    return TemplateResponse(request, "schemas/decide.html", context, status=409 if refusal else 200)


def _act(request: HttpRequest, verb: Verb, schema: Schema, data: dict[str, Any]) -> str:
    """Decide; "" if it is done, else why not."""
    if request.POST.get("seen") != snapshot(schema):
        note_refusal(request, "DECISION_STALE")
        return CHANGED
    try:
        verb.act(schema, operator(request), data)
    except DomainError as error:
        note_refusal(request, error.code)
        return error.message
    return ""


def approve_version(model_admin: Any, request: HttpRequest, pk: int) -> HttpResponse:
    """GET: the version, its author and its proof. POST: let it be served."""
    if not request.user.has_perm("schemas.approve_schema"):
        raise PermissionDenied
    version = (
        SchemaVersion.objects.select_related("schema", "author", "author_key", "approved_by")
        .filter(pk=pk)
        .first()
    )
    if version is None:
        raise Http404
    form = ReasonForm(request.POST if request.method == "POST" else None)
    refusal = ""
    if request.method == "POST" and form.is_valid():
        try:
            decisions.approve_version(version, actor=operator(request), reason=form.cleaned_data["reason"])
        except DomainError as error:
            note_refusal(request, error.code)
            refusal = error.message
        else:
            messages.success(request, f"{version} is approved and served.")
            return redirect("admin:schemas_schemaversion_change", version.pk)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": f"Approve {version}",
        "version": version,
        "possible": version.approved_at is None,
        "form": form,
        "refusal": refusal,
        "proof": prove(version),
    }
    return TemplateResponse(request, "schemas/approve_version.html", context, status=409 if refusal else 200)


def snapshot(schema: Schema) -> str:
    """What the page showed, so that a decision is not taken on something else."""
    return f"{schema.state}:{schema.latest_number}:{schema.generation}:{schema.owner_id}:{schema.deleted_at}"
