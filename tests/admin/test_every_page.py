"""Every address of the admin, found by itself: an auditor, a forged form and a mere look change nothing.

A page that is added is tried here without being named; one with a new parameter fails until it is given below.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client as Browser
from django.urls import URLPattern, URLResolver, reverse
from django.utils import timezone

from accounts.models import AuditEvent, Webhook, WebhookDelivery
from keys.decisions import Verb
from keys.models import Key, Refusal
from keys.registration import issue_token
from schemas.admin.verbs import VERBS
from schemas.models import Schema
from tests.admin.conftest import active_key, pending_key

pytestmark = pytest.mark.on_postgres

# Which only read, whatever method they are asked with.
READING = re.compile(
    r"search|index|autocomplete|jsi18n|view_on_site|app_list|catch_all|.*_(export|changelist|history|diff|report|queue)"
    r"|password_change(_done)?|.*_shortcut"
)
SESSION = {"login", "logout", "accounts_user_tokens"}  # whose POST is a login
ABSENT = {"job_id": uuid.uuid4(), "content_type_id": 1, "url": "no-such-page"}
EVERY_FIELD: dict[str, Any] = {
    "confirmed": "yes",
    "reason": "because",
    "change_reason": "because",
    "revocation_reason": "keyCompromise",
    "profile": "lenient",
    "scopes": ["webhooks:manage"],
    "role": "admin",
    "is_active": "",
    "username": "changed",
    "client_id": "changed",
    "name": "changed",
    "password1": "a long enough passphrase",
    "password2": "a long enough passphrase",
    "days": 3,
    "format": "0",
    "successor": "",
    "_save": "Save",
}


def named_patterns(patterns: list[Any], prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            kind = str(pattern.pattern).strip("/").replace("/", "_")
            yield from named_patterns(pattern.url_patterns, kind)
        elif pattern.name is None:
            yield (f"{prefix}_shortcut" if prefix else "catch_all"), pattern
        else:
            yield pattern.name, pattern


@pytest.fixture
def addresses(make_operator: Callable[..., Any]) -> list[tuple[str, str]]:
    """Name and address of every page, each about something that exists."""
    zoe = make_operator("zoe-in-billing", "manager")
    key, active = pending_key("orders"), active_key("invoices")
    token, _ = issue_token(issued_by=zoe)
    now = timezone.now()
    refusal = Refusal.objects.create(
        created_at=now, request_id="r", code="NONCE_REUSED", message="m", method="GET", path="/"
    )
    schema = Schema.objects.create(name="order-events", owner=active.client)
    webhook = Webhook.objects.create(url="https://example.com/hook", events=["*"], created_at=now)
    delivery = WebhookDelivery.objects.create(
        webhook=webhook, event_id=uuid.uuid4(), event_type="key.approved", body="{}", created_at=now
    )
    tested = WebhookDelivery.objects.create(
        webhook=webhook, event_id=uuid.uuid4(), event_type="webhook.test", body="{}", created_at=now
    )
    objects = {
        "accounts_auditevent": AuditEvent.objects.latest("id").pk,
        "accounts_client": key.client_id,
        "accounts_user": zoe.pk,
        "accounts_webhook": webhook.pk,
        "accounts_webhookdelivery": delivery.pk,
        "keys_key": key.pk,
        "keys_refusal": refusal.pk,
        "keys_enrolmenttoken": token.pk,
        "schemas_schema": schema.pk,
    }
    values = {
        "client_pk": [key.client_id],
        "user_pk": [zoe.pk],
        "id": [zoe.pk],
        "token_pk": [token.pk],
        "webhook_pk": [webhook.pk],
        "delivery_pk": [delivery.pk],
        "delivery_id": [tested.delivery_id],
        "pk": [schema.pk],
        "act": ["reset-second-factor", "unlock"],
        "app_label": ["accounts", "keys", "schemas"],
        **{name: [value] for name, value in ABSENT.items()},
    }
    verbs = {
        "accounts_client_switch": ["suspend", "reactivate"],
        "accounts_webhook_confirm": ["pause", "resume", "delete"],
        "keys_key_decide": [verb.value for verb in Verb],
        "schemas_schema_decide": list(VERBS),
    }
    found = []
    for name, pattern in named_patterns(admin.site.get_urls()):
        if name in SESSION:
            continue
        route = re.sub(r"\(\?P<(\w+)>[^)]*\)", r"<\1>", str(pattern.pattern)).strip("^$")
        parent = next((kind for kind in objects if name.startswith(f"{kind}_")), "")
        choices: list[dict[str, Any]] = [{}]  # one dictionary of parameters for each address
        for parameter in re.findall(r"<(?:\w+:)?(\w+)>", route):
            given = (
                verbs[name]
                if parameter == "verb"
                else [objects.get(parent, uuid.uuid4())]
                if parameter == "object_id"
                else values[parameter]
            )
            choices = [{**choice, parameter: value} for choice in choices for value in given]
        found += [(name, address(name, choice)) for choice in choices]
    query = f"?key={key.pk}&key={active.pk}"
    return [(name, link + query if name == "keys_key_decide" else link) for name, link in found]


def address(name: str, parameters: dict[str, Any]) -> str:
    if name.endswith("_shortcut"):
        kind = name.removesuffix("_shortcut").replace("_", "/", 1)
        return f"{reverse('admin:index')}{kind}/{parameters['object_id']}/"
    if name == "catch_all":
        return f"{reverse('admin:index')}{parameters['url']}"
    return reverse(f"admin:{name}", kwargs=parameters)


def state(*, with_events: bool) -> dict[str, list[Any]]:
    """Every row of what operators decide about."""
    models = [
        model
        for label in ("accounts", "keys", "schemas", "auth", "mfa")
        for model in apps.get_app_config(label).get_models(include_auto_created=True)
        if model is not AuditEvent or with_events
    ]
    return {model._meta.label: sorted(map(str, model._base_manager.values_list())) for model in models}


def everything_selected() -> dict[str, Any]:
    keys = [str(pk) for pk in Key.objects.values_list("pk", flat=True)]
    return {**EVERY_FIELD, "key": keys, "_selected_action": keys, "action": "bulk_approve"}


def test_an_auditors_posts_are_refused_and_change_nothing(
    addresses: list[tuple[str, str]], auditor: Browser
) -> None:
    before = state(with_events=False)
    data = everything_selected()
    answers = {link: (name, auditor.post(link, data).status_code) for name, link in addresses}
    assert state(with_events=False) == before
    wrong = {
        link: status
        for link, (name, status) in answers.items()
        if status >= 500 or (status != 403 and not READING.fullmatch(name))
    }
    assert wrong == {}
    refused = sum(not READING.fullmatch(name) for name, _ in answers.values())
    recorded = AuditEvent.objects.filter(
        actor_label="olga", action__in=["operator.refused", "key.decision_refused"]
    )
    assert recorded.count() >= refused > 50, "each of these attempts is on record"


def test_without_a_csrf_token_an_admins_posts_change_nothing(
    addresses: list[tuple[str, str]], sit_down: Callable[..., Browser]
) -> None:
    browser = sit_down("ada", "admin", enforce_csrf_checks=True)
    before, data = state(with_events=True), everything_selected()
    answers = {link: browser.post(link, data).status_code for _, link in addresses}
    assert state(with_events=True) == before
    assert {link: status for link, status in answers.items() if status not in (302, 403, 404, 405)} == {}


def test_an_admin_who_only_looks_changes_nothing(
    addresses: list[tuple[str, str]], sit_down: Callable[..., Browser]
) -> None:
    browser = sit_down("ada", "admin")
    before = state(with_events=True)
    answers = {
        link: browser.get(link, EVERY_FIELD if "?" not in link else None).status_code for _, link in addresses
    }
    assert state(with_events=True) == before
    assert {link: status for link, status in answers.items() if status >= 500} == {}


def test_who_has_no_role_reads_nothing(
    addresses: list[tuple[str, str]], sit_down: Callable[..., Browser]
) -> None:
    browser = sit_down("nobody")
    for name, link in addresses:
        answer = browser.get(link)
        shown = b"".join(answer) if answer.streaming else answer.content
        # Long enough that no random token on a page holds one by chance.
        told = [
            word for word in ("orders", "invoices", "zoe-in-billing", "example.com") if word.encode() in shown
        ]
        assert (answer.status_code < 500, told) == (True, []), (name, link)
