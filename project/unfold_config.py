"""How the admin looks and what its sidebar offers; django-unfold's `UNFOLD` setting."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse, reverse_lazy


def _may(permission: str, url_name: str) -> Any:
    def allowed(request: HttpRequest) -> bool:
        return bool(_url(url_name)) and request.user.has_perm(permission)

    return allowed


def _url(url_name: str) -> str:
    """The page's address, or "" where no admin is registered for it."""
    try:
        return reverse(f"admin:{url_name}")
    except NoReverseMatch:
        return ""


def _styles(request: HttpRequest) -> str:
    return static("datafold/admin.css")


def _favicon(request: HttpRequest) -> str:
    return static("datafold/favicon.svg")


def _nonce_script(request: HttpRequest) -> str:
    return static("datafold/nonce.js")


def _item(title: str, icon: str, url_name: str, permission: str, **more: Any) -> dict[str, Any]:
    """An entry; every page below its own marks it as the active one."""
    return {
        "title": title,
        "icon": icon,
        "link": lambda request: _url(url_name),
        "permission": _may(permission, url_name),
        "active": lambda request: request.path.startswith(_url(url_name) or "-"),
        **more,
    }


def _account_links(request: HttpRequest) -> list[dict[str, str]]:
    """What an operator has to do with their own account, in the menu behind the name."""
    user: Any = request.user  # an operator: the admin lets nobody else in
    links = {"account_change_password": "Change password"} if user.has_usable_password() else {}
    links |= {"mfa_index": "Second factor", "admin:accounts_user_tokens": "Tokens for your programs"}
    return [{"title": title, "link": reverse(url_name)} for url_name, title in links.items()]


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "DataFold",
    "SITE_HEADER": "DataFold",
    "SITE_SUBHEADER": "Machine identities and schemas",
    "SITE_SYMBOL": "fingerprint",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _favicon}],
    "SITE_URL": None,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": False,
    "BORDER_RADIUS": "6px",
    "STYLES": [_styles],
    "SCRIPTS": [_nonce_script],
    "ACCOUNT": {"navigation": _account_links},
    "COMMAND": {"search_models": False, "search_callback": "project.search.find", "show_history": False},
    "COLORS": {
        "primary": {
            "50": "#eefcf9",
            "100": "#d3f7ef",
            "200": "#a9ede0",
            "300": "#70dccb",
            "400": "#3ac2b1",
            "500": "#1aa596",
            "600": "#0f7f75",
            "700": "#116a63",
            "800": "#135450",
            "900": "#144642",
            "950": "#052a28",
        },
    },
    "SIDEBAR": {
        "show_search": True,
        "command_search": True,
        "show_all_applications": False,
        "navigation": [
            {
                "items": [
                    {"title": "Dashboard", "icon": "monitoring", "link": reverse_lazy("admin:index")},
                    _item(
                        "Approval queue",
                        "approval",
                        "keys_key_queue",
                        "keys.view_key",
                        badge="project.dashboard.waiting_badge",
                    ),
                ],
            },
            {
                "title": "Identities",
                "separator": True,
                "items": [
                    _item("Clients", "dns", "accounts_client_changelist", "accounts.view_client"),
                    _item(
                        "Keys",
                        "key",
                        "keys_key_changelist",
                        "keys.view_key",
                        active="project.unfold_config.keys_active",
                    ),
                    _item(
                        "Enrolment tokens",
                        "confirmation_number",
                        "keys_enrolmenttoken_changelist",
                        "keys.view_enrolmenttoken",
                    ),
                ],
            },
            {
                "title": "Schemas",
                "separator": True,
                "items": [
                    _item("Schemas", "schema", "schemas_schema_changelist", "schemas.view_schema"),
                    _item(
                        "Validated files",
                        "rule",
                        "schemas_validationjob_changelist",
                        "schemas.view_validationjob",
                    ),
                ],
            },
            {
                "title": "Accountability",
                "separator": True,
                "items": [
                    _item(
                        "Audit log", "history", "accounts_auditevent_changelist", "accounts.view_auditevent"
                    ),
                    _item("Webhooks", "webhook", "accounts_webhook_changelist", "accounts.view_webhook"),
                    _item("Refused requests", "block", "keys_refusal_changelist", "keys.view_refusal"),
                    _item("Operators", "group", "accounts_user_changelist", "accounts.view_user"),
                ],
            },
        ],
    },
}


def keys_active(request: HttpRequest) -> bool:
    """The queue lives under the keys' path but has an entry of its own."""
    return "/keys/key/" in request.path and "/keys/key/queue/" not in request.path
