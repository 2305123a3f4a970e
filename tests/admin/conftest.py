"""Operators of each role at the admin, and keys for them to decide on."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client as Browser
from django.urls import reverse

from accounts.audit import Actor
from accounts.models import Client, User
from keys import lifecycle
from keys.models import Key
from tests.support.registered import register_pending

ROLES = ["auditor", "manager", "admin"]


@pytest.fixture
def make_operator(db: None) -> Callable[..., User]:
    def make(name: str, role: str = "") -> User:
        user = User.objects.create_user(name, is_staff=True)
        if role:
            user.groups.add(Group.objects.get(name=role))
        return user

    return make


@pytest.fixture
def sit_down(make_operator: Callable[..., User]) -> Callable[..., Browser]:
    """`sit_down("mara", "manager")`: a browser with that operator logged in."""

    def sit(name: str, role: str = "", **options: Any) -> Browser:
        browser = Browser(**options)
        user = User.objects.filter(username=name).first() or make_operator(name, role)
        browser.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
        return browser

    return sit


@pytest.fixture
def manager(sit_down: Callable[..., Browser]) -> Browser:
    return sit_down("mara", "manager")


@pytest.fixture
def auditor(sit_down: Callable[..., Browser]) -> Browser:
    return sit_down("olga", "auditor")


@pytest.fixture
def admin(sit_down: Callable[..., Browser]) -> Browser:
    return sit_down("ada", "admin")


@pytest.fixture
def pending(db: None) -> Key:
    return pending_key("orders")


@pytest.fixture
def active(db: None) -> Key:
    return active_key("orders")


def pending_key(client_id: str, **registration: Any) -> Key:
    register_pending(client_id, **registration)
    return Key.objects.select_related("client").get(client__client_id=client_id)


def active_key(client_id: str, **registration: Any) -> Key:
    key = pending_key(client_id, **registration)
    return lifecycle.approve(key, actor=Actor.system("tests"))


def decide_url(verb: str, *keys: Key) -> str:
    return reverse("admin:keys_key_decide", args=[verb]) + "?" + "&".join(f"key={key.pk}" for key in keys)


def open_page(browser: Browser, verb: str, *keys: Key) -> dict[str, Any]:
    """Open the confirmation page; answers with what its form would send."""
    response = browser.get(decide_url(verb, *keys))
    assert response.status_code == 200, response.content
    return form_of(response)


def form_of(response: Any) -> dict[str, Any]:
    """The hidden fields, and the date fields as they are filled in."""
    text = response.content.decode()
    data: dict[str, Any] = {"confirmed": "yes"}
    for tag in re.findall(r"<input[^>]+>", text):
        attributes = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        name, value = attributes.get("name", ""), html.unescape(attributes.get("value", ""))
        if name == "key":
            data.setdefault("key", []).append(value)
        elif name.startswith("seen") or attributes.get("type") == "date":
            data[name] = value
        elif name == "scopes" and re.search(r"\schecked[\s/>]", tag):
            data.setdefault(name, []).append(value)
    return data


def decide(browser: Browser, verb: str, *keys: Key, **fields: Any) -> Any:
    """Open the confirmation page and confirm it."""
    return browser.post(decide_url(verb, *keys), {**open_page(browser, verb, *keys), **fields})


def client_of(key: Key) -> Client:
    return Client.objects.get(pk=key.client_id)
