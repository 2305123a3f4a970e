"""Single sign-on against a real OpenID provider on a local port."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, build_opener

import pytest

from accounts import operators
from accounts.audit import Actor
from accounts.authentication.sso import mapped_role
from accounts.models import AuditEvent, User
from accounts.roles import Role
from tests.operators.provider import CLIENT_ID, CLIENT_SECRET, Provider, running_provider
from tests.operators.support import Operator, actions
from tests.support.client import ORIGIN, WireClient
from tests.support.stack import PROJECT

MakeOperator = Callable[..., Operator]
START = "/account/oidc/sso/login/"


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


@pytest.fixture
def provider(settings: Any, monkeypatch: pytest.MonkeyPatch, db: None) -> Iterator[Provider]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with running_provider() as running:
        settings.SOCIALACCOUNT_PROVIDERS = {
            "openid_connect": {
                "OAUTH_PKCE_ENABLED": True,
                "APPS": [
                    {
                        "provider_id": "sso",
                        "name": "Example sign-on",
                        "client_id": CLIENT_ID,
                        "secret": CLIENT_SECRET,
                        "settings": {"server_url": running.issuer},
                    }
                ],
            }
        }
        settings.DATAFOLD_OIDC_ROLE_CLAIM = "groups"
        settings.DATAFOLD_OIDC_ROLE_MAP = {
            "df-admins": "admin",
            "df-managers": "manager",
            "df-auditors": "auditor",
        }
        yield running


def ask_provider(http: WireClient) -> str:
    """Start at our page and go to the provider; returns where it sends the browser back to."""
    leaving = http.post(START)
    assert leaving.status_code == 302, leaving.content
    try:
        build_opener(ProxyHandler({}), _Stay()).open(leaving["Location"], timeout=10)
    except HTTPError as redirect:
        return str(redirect.headers["Location"])
    raise AssertionError("the provider did not redirect")


def sign_on(http: WireClient) -> Any:
    return http.get(ask_provider(http).removeprefix(ORIGIN))


def signed_in(http: WireClient) -> bool:
    return "_auth_user_id" in http.session


def test_the_login_page_offers_it(provider: Provider, client: WireClient) -> None:
    page = client.get("/account/login/").content.decode()
    assert "Example sign-on" in page
    assert START in page


def test_without_a_provider_nothing_is_offered(client: WireClient, db: None) -> None:
    assert START not in client.get("/account/login/").content.decode()
    assert client.get(START).status_code == 404


def test_a_mapped_newcomer_is_in_with_that_role(provider: Provider, client: WireClient) -> None:
    provider.person["groups"] = ["staff", "df-managers"]
    assert sign_on(client)["Location"] == "/admin/"
    ada = User.objects.get(username="ada")
    assert ada.roles == [Role.MANAGER]
    assert not ada.has_usable_password()
    assert client.get("/admin/").status_code == 200
    assert actions(ada) == ["operator.created", "operator.changed", "operator.logged_in"]
    assert AuditEvent.objects.get(action="operator.changed").actor_label == "single sign-on"


def test_where_it_is_demanded_it_lets_in(provider: Provider, client: WireClient, settings: Any) -> None:
    settings.DATAFOLD_REQUIRE_SSO = True
    provider.person["groups"] = ["df-managers"]
    page = client.get("/account/login/").content.decode()
    assert "Example sign-on" in page
    assert sign_on(client)["Location"] == "/admin/"
    assert sign_on(WireClient())["Location"] == "/admin/", "the second time, too"


def test_an_unmapped_newcomer_has_no_role(provider: Provider, client: WireClient) -> None:
    provider.person["groups"] = ["staff"]
    sign_on(client)
    assert User.objects.get(username="ada").roles == []
    assert client.get("/admin/", follow=True).status_code == 403
    assert client.get("/api/v1/operators/keys").status_code == 403


def test_the_role_follows_the_claim_at_every_login(provider: Provider, client: WireClient) -> None:
    provider.person["groups"] = ["df-managers"]
    sign_on(client)
    provider.person["groups"] = []
    sign_on(WireClient())
    assert User.objects.get(username="ada").roles == []
    assert client.get("/api/v1/operators/keys").status_code == 403, "the older session lost the role as well"


def test_without_a_claim_setting_admins_give_the_roles(
    provider: Provider, client: WireClient, settings: Any
) -> None:
    settings.DATAFOLD_OIDC_ROLE_CLAIM = ""
    provider.person["groups"] = ["df-admins"]
    sign_on(client)
    ada = User.objects.get(username="ada")
    assert ada.roles == []
    operators.change_role(ada, actor=Actor.system("tests"), role=Role.AUDITOR)
    sign_on(WireClient())
    assert ada.roles == [Role.AUDITOR]


def test_the_second_factor_is_due_here_too(provider: Provider, client: WireClient, settings: Any) -> None:
    provider.person["groups"] = ["df-managers"]
    sign_on(client)
    ada = Operator(User.objects.get(username="ada"), WireClient())
    ada.add_totp()
    assert sign_on(ada.http)["Location"] == "/account/2fa/authenticate/"
    assert not signed_in(ada.http)
    ada.http.post("/account/2fa/authenticate/", {"code": ada.code()})
    assert signed_in(ada.http)


def test_where_a_second_factor_is_demanded_it_must_be_set_up(
    provider: Provider, client: WireClient, settings: Any
) -> None:
    settings.DATAFOLD_REQUIRE_MFA = True
    provider.person["groups"] = ["df-managers"]
    sign_on(client)
    assert client.get("/admin/")["Location"] == "/account/2fa/"


def test_a_deactivated_operator_stays_out(provider: Provider, client: WireClient) -> None:
    provider.person["groups"] = ["df-managers"]
    sign_on(client)
    operators.deactivate_operator(User.objects.get(username="ada"), actor=Actor.system("tests"))
    again = WireClient()
    assert sign_on(again)["Location"] == "/account/inactive/"
    assert not signed_in(again)


def test_it_never_takes_over_an_account_by_name_or_mail(
    provider: Provider, client: WireClient, operator: MakeOperator
) -> None:
    local = operator("admin", "ada", email="ada@example.com")
    provider.person["groups"] = ["df-auditors"]
    sign_on(client)
    assert client.session["_auth_user_id"] != str(local.user.pk)
    assert local.user.roles == [Role.ADMIN]
    assert User.objects.exclude(pk=local.user.pk).get().roles == [Role.AUDITOR]


def test_the_last_admin_is_not_demoted_by_a_claim(provider: Provider, client: WireClient) -> None:
    provider.person["groups"] = ["df-admins"]
    sign_on(client)
    provider.person["groups"] = []
    again = WireClient()
    answer = sign_on(again)
    assert answer.status_code == 409
    assert "last active admin" in answer.content.decode()
    assert not signed_in(again)


def test_a_denied_sign_on_leads_back(provider: Provider, client: WireClient) -> None:
    provider.denies = True
    answer = sign_on(client)
    assert answer["Location"] == "/account/sso/cancelled/"
    assert client.get(answer["Location"]).status_code == 200
    assert not signed_in(client)


@pytest.mark.parametrize(
    "id_token",
    [{"aud": "somebody-else"}, {"iss": "https://evil.example"}, {"exp": 1}],
    ids=["other audience", "other issuer", "expired"],
)
def test_an_untrustworthy_id_token_is_refused(
    provider: Provider, client: WireClient, id_token: dict[str, Any]
) -> None:
    provider.id_token = id_token
    provider.person["groups"] = ["df-admins"]
    answer = sign_on(client)
    assert "Single sign-on failed" in answer.content.decode()
    assert not signed_in(client)
    assert not User.objects.exists()
    assert AuditEvent.objects.filter(action="operator.login_failed").exists()


def test_an_answer_that_nobody_asked_for_is_refused(provider: Provider, client: WireClient) -> None:
    back = ask_provider(client).removeprefix(ORIGIN)
    victim = WireClient()
    assert not signed_in(victim)
    victim.get(back)  # the attacker's code and state in another browser
    assert not signed_in(victim)


def test_a_code_works_once(provider: Provider, client: WireClient) -> None:
    provider.person["groups"] = ["df-managers"]
    back = ask_provider(client).removeprefix(ORIGIN)
    client.get(back)
    other = WireClient()
    other.get(back)
    assert not signed_in(other)


def test_the_redirect_asks_with_pkce_and_for_our_own_address(provider: Provider, client: WireClient) -> None:
    query = parse_qs(urlsplit(client.post(START)["Location"]).query)
    assert query["code_challenge_method"] == ["S256"]
    assert query["redirect_uri"] == [f"{ORIGIN}/account/oidc/sso/login/callback/"]
    assert query["response_type"] == ["code"]


CLAIMS: list[tuple[str, dict[str, Any], Role | None]] = [
    ("groups", {"id_token": {"groups": ["b"]}}, Role.MANAGER),
    ("groups", {"id_token": {"groups": ["c", "a"]}}, Role.ADMIN),
    ("groups", {"userinfo": {"groups": "c"}}, Role.AUDITOR),
    ("groups", {"id_token": {"groups": []}, "userinfo": {"groups": ["a"]}}, None),
    ("realm_access.roles", {"id_token": {"realm_access": {"roles": ["b"]}}}, Role.MANAGER),
    ("https://example.com/roles", {"id_token": {"https://example.com/roles": ["b"]}}, Role.MANAGER),
    ("groups", {"id_token": {"groups": [1, None, {"a": 1}]}}, None),
    ("groups", {"id_token": {"groups": {"a": 1}}}, None),
    ("a.b.c", {"id_token": {"a": "x"}}, None),
    ("groups", {}, None),
]


@pytest.mark.parametrize(("claim", "claims", "role"), CLAIMS)
def test_which_role_the_claims_give(
    settings: Any, claim: str, claims: dict[str, Any], role: Role | None
) -> None:
    settings.DATAFOLD_OIDC_ROLE_CLAIM = claim
    settings.DATAFOLD_OIDC_ROLE_MAP = {"a": "admin", "b": "manager", "c": "auditor"}
    assert mapped_role(claims) is role


@pytest.mark.one_stack
def test_the_provider_is_configured_by_the_environment(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from a file\n")
    program = (
        "import json; from django.conf import settings as s;"
        "print(json.dumps([s.SOCIALACCOUNT_PROVIDERS['openid_connect']['APPS'], s.DATAFOLD_OIDC_ROLE_MAP]))"
    )
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "DATAFOLD_OIDC_NAME": "Example",
        "DATAFOLD_OIDC_ISSUER": "https://id.example.com/",
        "DATAFOLD_OIDC_CLIENT_ID": "datafold",
        "DATAFOLD_OIDC_CLIENT_SECRET_FILE": str(secret),
        "DATAFOLD_OIDC_ROLE_MAP": "ops=admin,dev=manager",
    }
    output = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, env=environment, capture_output=True
    )
    assert output.returncode == 0, output.stderr
    apps, role_map = json.loads(output.stdout)
    assert apps == [
        {
            "provider_id": "sso",
            "name": "Example",
            "client_id": "datafold",
            "secret": "from a file",
            "settings": {"server_url": "https://id.example.com"},
        }
    ]
    assert role_map == {"ops": "admin", "dev": "manager"}
