"""The Content-Security-Policy of each kind of answer (CSP Level 3)."""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

# An answer for programs: should a browser ever show it as a page, it can load and do nothing.
DATA: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

_PAGE: Final = {
    "default-src": "'none'",
    "script-src": "'self' 'nonce-{nonce}'",
    "style-src": "'self' 'nonce-{nonce}'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
# django-unfold's interface is written in Alpine expressions, which Alpine compiles with `new Function`,
# and in style attributes. Scripts still come from this server only, and an inline script needs the nonce.
_CONSOLE: Final = {
    "script-src": "'self' 'nonce-{nonce}' 'unsafe-eval'",
    "style-src-attr": "'unsafe-inline'",
}
# Redoc writes its styles into the page itself, knows no nonce, and searches in a worker made from a blob.
_REDOC: Final = {
    "style-src": "'self' 'unsafe-inline'",
    "worker-src": "'self' blob:",
}
_SWAGGER: Final = {"style-src-attr": "'unsafe-inline'"}

_BY_PATH: Final = (
    ("/admin/", _CONSOLE),
    ("/account/", _CONSOLE),
    ("/redoc", _REDOC),
    ("/docs", _SWAGGER),
)


def policy_for(request: HttpRequest, response: HttpResponseBase) -> str:
    """The policy of this answer, with the nonce that its templates were rendered with."""
    if not response.get("Content-Type", "").startswith("text/html"):
        return DATA
    nonce = getattr(request, "_csp_nonce", "")
    policy = _page_policy(_surface(request.path_info), settings.DATAFOLD_OIDC_ISSUER)
    return policy.replace("{nonce}", nonce) if nonce else policy.replace(" 'nonce-{nonce}'", "")


def _surface(path: str) -> str:
    return next((prefix for prefix, _ in _BY_PATH if path.startswith(prefix)), "")


@lru_cache(maxsize=16)
def _page_policy(surface: str, sign_on_issuer: str) -> str:
    directives = {**_PAGE, **dict(_BY_PATH).get(surface, {})}
    if sign_on_issuer and surface == "/account/":
        # A browser applies form-action to where the form's answer redirects, too.
        issuer = urlsplit(sign_on_issuer)
        directives["form-action"] += f" {issuer.scheme}://{issuer.netloc}"
    return "; ".join(f"{name} {sources}" for name, sources in directives.items())
