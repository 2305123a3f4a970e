"""Every operators' call against every role, as a table; and attempts to get more than one's role gives."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from django.contrib.auth.models import Permission

from accounts.api.base import OperatorView
from accounts.api.urls import urlpatterns
from accounts.models import AuditEvent, Client, User
from accounts.roles import Role
from keys.models import Key
from tests.operators.support import API, Operator, error_code
from tests.support.client import WireClient
from tests.support.registered import register_pending

pytestmark = pytest.mark.on_postgres

MakeOperator = Callable[..., Operator]
ALL = {"admin", "manager", "auditor"}
DECIDE = {"admin", "manager"}
NONE: set[str] = set()


class Call(NamedTuple):
    """`path` under operators/, with names to fill in; `allowed`: the roles that may."""

    method: str
    path: str
    allowed: set[str]
    body: dict[str, Any] | None = None


WHY = {"reason": "because"}
CALLS = [
    Call("GET", "me", ALL | {"nobody"}),
    Call("GET", "users", ALL),
    Call("POST", "users", {"admin"}, {"username": "new-operator", "role": "auditor"}),
    Call("GET", "users/{user}", ALL),
    Call("POST", "users/{user}/role", {"admin"}, {"role": "manager", **WHY}),
    Call("POST", "users/{user}/deactivate", {"admin"}, WHY),
    Call("POST", "users/{user}/reactivate", {"admin"}, WHY),
    Call("POST", "users/{user}/password", {"admin"}, {}),
    Call("POST", "users/{user}/reset-second-factor", {"admin"}, WHY),
    Call("POST", "users/{user}/unlock", {"admin"}, WHY),
    Call("GET", "clients", ALL),
    Call("POST", "clients", DECIDE, {"client_id": "new-client"}),
    Call("GET", "clients/{client}", ALL),
    Call("PATCH", "clients/{client}", DECIDE, {"name": "New name"}),
    Call("POST", "clients/{client}/suspend", DECIDE, WHY),
    Call("POST", "clients/{client}/reactivate", DECIDE, WHY),
    Call("GET", "keys", ALL),
    Call("GET", "keys/{key}", ALL),
    *(
        Call("POST", f"keys/{{key}}/{verb}", DECIDE, {"thumbprint": "{thumbprint}", **WHY})
        for verb in (
            "approve",
            "reject",
            "suspend",
            "reactivate",
            "revoke",
            "request-rotation",
            "roll-back",
            "retire",
        )
    ),
    Call(
        "POST",
        "keys/{key}/report-compromise",
        DECIDE,
        {"thumbprint": "{thumbprint}", "compromised_since": "2026-01-01T00:00:00Z", **WHY},
    ),
    Call("GET", "enrolment-tokens", ALL),
    Call("POST", "enrolment-tokens", DECIDE, {"note": "for a test"}),
    Call("GET", "audit/events", ALL),
    Call("GET", "audit/events/{event}", ALL),
    Call("GET", "/api/v1/audit/checkpoints", ALL),
]
MATRIX = [
    pytest.param(call, role, id=f"{role} {call.method} {call.path}")
    for call in CALLS
    for role in ("admin", "manager", "auditor", "nobody")
]


class World(NamedTuple):
    names: dict[str, Any]

    def path(self, call: Call) -> str:
        return call.path.format(**self.names)

    def body(self, call: Call) -> Any:
        if call.body is None:
            return None
        return {
            name: value.format(**self.names) if isinstance(value, str) else value
            for name, value in call.body.items()
        }


@pytest.fixture
def world(operator: MakeOperator) -> World:
    """An admin, an operator, a client with a pending key, an event."""
    operator("admin", "first-admin")
    other = operator("auditor", "other-operator")
    register_pending("matrix-client")
    key = Key.objects.get()
    event = AuditEvent.objects.latest("id")
    return World(
        {
            "user": other.user.pk,
            "client": "matrix-client",
            "key": key.pk,
            "thumbprint": key.thumbprint,
            "event": event.pk,
        }
    )


@pytest.mark.parametrize(("call", "role"), MATRIX)
def test_who_may_make_which_call(operator: MakeOperator, world: World, call: Call, role: str) -> None:
    caller = operator(role if role in ALL else None, "caller")
    answer = caller.call(call.method, world.path(call), world.body(call))
    if role in call.allowed:
        # A conflict comes from the state that the key or client is in, after the role was accepted.
        assert answer.status_code in (200, 201, 409), answer.content
    else:
        assert answer.status_code == 403, answer.content
        assert error_code(answer) == "PERMISSION_DENIED"


@pytest.mark.parametrize("call", [pytest.param(call, id=f"{call.method} {call.path}") for call in CALLS])
def test_nobody_may_call_without_signing_in(client: WireClient, world: World, call: Call) -> None:
    path = world.path(call)
    url = path if path.startswith("/") else f"{API}/{path}"
    answer = getattr(client, call.method.lower())(
        url, world.body(call) or {}, content_type="application/json"
    )
    assert answer.status_code == 401
    assert error_code(answer) in ("NOT_AUTHENTICATED", "SIGNATURE_MISSING")


@pytest.mark.parametrize("call", [call for call in CALLS if call.method != "GET"], ids=lambda call: call.path)
def test_a_refused_call_changes_nothing(operator: MakeOperator, world: World, call: Call) -> None:
    caller = operator("auditor", "caller")
    caller.tokens()
    before = _state()
    caller.call(call.method, world.path(call), world.body(call))
    assert _state() == before


def test_the_table_names_every_call() -> None:
    """A call that is added without a row here fails."""
    listed = {(call.method, re.sub(r"\{.*?\}", "*", call.path)) for call in CALLS}
    for pattern in urlpatterns:
        view: Any = getattr(pattern.callback, "cls", None)
        if pattern.name is None or view is None or not issubclass(view, OperatorView):
            continue
        path = re.sub(r"<.*?>", "*", str(pattern.pattern)).removeprefix("operators/")
        for method in view.permissions:
            assert (method, path) in listed, f"{method} {path}"


def test_what_does_not_exist_is_told_only_to_who_may_look(operator: MakeOperator, world: World) -> None:
    missing = [
        "users/999999",
        "clients/no-such",
        f"keys/{'0' * 8}-0000-4000-8000-{'0' * 12}",
        "audit/events/999999",
    ]
    huge = ["users/99999999999999999999999", "audit/events/99999999999999999999999"]
    auditor, nobody = operator("auditor"), operator(None, "nobody")
    for path in (*missing, *huge):
        assert auditor.call("GET", path).status_code == 404, path
        assert nobody.call("GET", path).status_code == 403, path
    assert nobody.call("POST", "clients/no-such/suspend", WHY).status_code == 403


def test_other_methods_are_405(operator: MakeOperator, world: World) -> None:
    admin = operator("admin")
    answer = admin.call("DELETE", "keys")
    assert answer.status_code == 405
    assert admin.call("PUT", f"users/{world.names['user']}", {}).status_code == 405
    assert operator(None, "nobody").call("OPTIONS", "keys").status_code == 200


# --- Getting more than the role gives -----------------------------------------------------------------


@pytest.mark.parametrize("role", ["manager", "auditor", None])
def test_nobody_raises_their_own_role(operator: MakeOperator, role: str | None) -> None:
    caller = operator(role)
    answer = caller.call("POST", f"users/{caller.user.pk}/role", {"role": "admin"})
    assert answer.status_code == 403
    assert Role.ADMIN not in caller.user.roles


@pytest.mark.parametrize("role", ["manager", "auditor"])
def test_the_permission_alone_does_not_let_a_lesser_role_make_admins(
    operator: MakeOperator, role: str
) -> None:
    """Somebody gave a manager Django's change_user: the service refuses all the same."""
    caller, other = operator(role), operator("auditor")
    for codename in ("change_user", "add_user"):
        caller.user.user_permissions.add(Permission.objects.get(codename=codename))
    for target in (caller.user, other.user):
        assert caller.call("POST", f"users/{target.pk}/role", {"role": "admin"}).status_code == 403
    assert caller.call("POST", "users", {"username": "accomplice", "role": "admin"}).status_code == 403
    assert caller.call("POST", f"users/{other.user.pk}/password", {}).status_code == 403
    assert not User.objects.filter(groups__name="admin").exists()


def test_an_admin_does_not_decide_about_the_own_account(operator: MakeOperator) -> None:
    admin = operator("admin")
    operator("admin")
    for path, body in (("role", {"role": "manager"}), ("deactivate", WHY), ("password", {})):
        answer = admin.call("POST", f"users/{admin.user.pk}/{path}", body)
        assert (answer.status_code, error_code(answer)) == (403, "OWN_ACCOUNT")


def test_only_a_superuser_manages_a_superuser(operator: MakeOperator) -> None:
    admin, root = operator("admin"), operator("admin")
    User.objects.filter(pk=root.user.pk).update(is_superuser=True)
    for path, body in (("role", {"role": "auditor"}), ("deactivate", WHY), ("password", {})):
        assert admin.call("POST", f"users/{root.user.pk}/{path}", body).status_code == 403
    assert root.call("POST", f"users/{admin.user.pk}/role", {"role": "auditor"}).status_code == 200


def test_unknown_members_do_not_slip_through(operator: MakeOperator, world: World) -> None:
    admin = operator("admin")
    for path, body in (
        ("users", {"username": "x", "is_superuser": True}),
        ("users", {"username": "x", "groups": ["admin"]}),
        (f"users/{world.names['user']}/role", {"role": "auditor", "is_staff": True}),
        ("clients", {"client_id": "x", "status": "suspended"}),
    ):
        assert admin.call("POST", path, body).status_code == 422, body
    assert admin.call("PATCH", "clients/matrix-client", {"epoch": 1}).status_code == 422


def test_the_last_admin_stays(operator: MakeOperator) -> None:
    admin = operator("admin")
    root = operator("admin")
    User.objects.filter(pk=root.user.pk).update(is_superuser=True)
    root.tokens()
    User.objects.filter(pk=admin.user.pk).update(is_active=False)
    token = root.call("GET", "me")  # the last one who is active
    assert token.status_code == 200
    other = operator("admin")
    assert root.call("POST", f"users/{other.user.pk}/deactivate", WHY).status_code == 200


def _state() -> Any:
    return (
        list(User.objects.values_list("pk", "password", "is_active", "groups").order_by("pk", "groups")),
        list(Client.objects.values_list("pk", "status", "name", "epoch").order_by("pk")),
        list(Key.objects.values_list("pk", "status", "rotate_by").order_by("pk")),
    )
