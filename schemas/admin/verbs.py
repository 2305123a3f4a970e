"""Every decision on a schema: its permission, its form, its words, the service behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from accounts.audit import Actor
from schemas import decisions
from schemas.admin import forms
from schemas.models import Schema, SchemaState

Act = Callable[[Schema, Actor, dict[str, Any]], object]


@dataclass(frozen=True, slots=True)
class Verb:
    """`possible` says for which schemas the decision makes sense now."""

    name: str
    title: str
    permission: str
    form: type[forms.ReasonForm]
    consequence: str
    done: str
    act: Act
    possible: Callable[[Schema], bool]
    danger: bool = False


def _in(*states: SchemaState) -> Callable[[Schema], bool]:
    return lambda schema: schema.deleted_at is None and schema.state in states


VERBS = {
    verb.name: verb
    for verb in (
        Verb(
            "approve",
            "Approve",
            "schemas.approve_schema",
            forms.ReasonForm,
            "Everybody sees that this is the schema to use. Nothing else changes.",
            "approved",
            lambda schema, actor, data: decisions.approve(schema, actor=actor, reason=data["reason"]),
            _in(SchemaState.AVAILABLE, SchemaState.DEPRECATED),
        ),
        Verb(
            "deprecate",
            "Deprecate",
            "schemas.deprecate_schema",
            forms.DeprecateForm,
            "Readers are told that it goes out of use, when, and what to use instead. It is still served.",
            "deprecated",
            lambda schema, actor, data: decisions.deprecate(
                schema, actor=actor, on=data["on"], successor=data["successor"], reason=data["reason"]
            ),
            _in(SchemaState.AVAILABLE, SchemaState.APPROVED),
        ),
        Verb(
            "block",
            "Block",
            "schemas.block_schema",
            forms.ExplainedForm,
            "From the next request on nobody reads it and nobody writes it; every reader is told your reason.",
            "blocked",
            lambda schema, actor, data: decisions.block(schema, actor=actor, reason=data["reason"]),
            _in(SchemaState.AVAILABLE, SchemaState.APPROVED, SchemaState.DEPRECATED),
            danger=True,
        ),
        Verb(
            "unblock",
            "Unblock",
            "schemas.block_schema",
            forms.ReasonForm,
            "It is available again: all its versions are served as before.",
            "unblocked",
            lambda schema, actor, data: decisions.unblock(schema, actor=actor, reason=data["reason"]),
            _in(SchemaState.BLOCKED),
        ),
        Verb(
            "require-approval",
            "Require approval of versions",
            "schemas.approve_schema",
            forms.ReasonForm,
            "A new version is served only when an operator has approved it. Those there are stay served.",
            "set to require approval of its versions",
            lambda schema, actor, data: decisions.require_approval(
                schema, actor=actor, required=True, reason=data["reason"]
            ),
            lambda schema: schema.deleted_at is None and not schema.versions_need_approval,
        ),
        Verb(
            "waive-approval",
            "Serve versions at once",
            "schemas.approve_schema",
            forms.ReasonForm,
            "Every version is served as soon as it is registered, also those that wait now.",
            "set to serve its versions at once",
            lambda schema, actor, data: decisions.require_approval(
                schema, actor=actor, required=False, reason=data["reason"]
            ),
            lambda schema: schema.deleted_at is None and schema.versions_need_approval,
        ),
        Verb(
            "break-glass",
            "Let incompatible versions through",
            "schemas.change_schema",
            forms.BreakGlassForm,
            "Until the time you set, versions are registered even if they break the schema's compatibility. Each is "
            "in the audit log.",
            "opened for incompatible versions",
            lambda schema, actor, data: decisions.break_glass(
                schema, actor=actor, until=data["until"], reason=data["reason"]
            ),
            lambda schema: schema.deleted_at is None,
            danger=True,
        ),
        Verb(
            "give",
            "Change owner",
            "schemas.change_schema",
            forms.OwnerForm,
            "The new owner may write versions, change the settings and delete it; the old one may not any more.",
            "given to another owner",
            lambda schema, actor, data: decisions.give_to(
                schema, actor=actor, owner=data["owner"], reason=data["reason"]
            ),
            lambda schema: True,
        ),
        Verb(
            "erase",
            "Erase for good",
            "schemas.delete_schema",
            forms.ExplainedForm,
            "All versions and their receipts are gone and cannot be proven any more. The name is free for anybody.",
            "erased",
            lambda schema, actor, data: decisions.erase(schema, actor=actor, reason=data["reason"]),
            lambda schema: True,
            danger=True,
        ),
    )
}
