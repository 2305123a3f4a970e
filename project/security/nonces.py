"""A nonce for every script and style that a template file writes into a page.

The attribute is added to the template's own source when it is loaded, never to rendered output: what a
value brings into the page gets none. So the templates of Django, django-unfold, django-allauth and
drf-spectacular run under the policy as they are, in this version and the next.
"""

from __future__ import annotations

import re
import secrets
from typing import Any

from django.http import HttpRequest
from django.template import Origin
from django.template.loaders.app_directories import Loader as AppDirectoriesLoader
from django.template.loaders.filesystem import Loader as FilesystemLoader

_WITHOUT_NONCE = re.compile(r"<(script|style)\b(?![^>]*\bnonce=)")


def add_nonces(source: str) -> str:
    """The template's source with a nonce on each `<script>` and `<style>` that has none."""
    return _WITHOUT_NONCE.sub(r'<\1 nonce="{{ csp_nonce }}"', source)


class NonceFilesystemLoader(FilesystemLoader):
    def get_contents(self, origin: Origin) -> str:
        return add_nonces(super().get_contents(origin))


class NonceAppDirectoriesLoader(AppDirectoriesLoader):
    def get_contents(self, origin: Origin) -> str:
        return add_nonces(super().get_contents(origin))


def csp_nonce(request: HttpRequest) -> dict[str, Any]:
    """Context processor: one nonce per request, made when the first template is rendered."""
    plain: Any = getattr(request, "_request", request)  # DRF renders with a request of its own
    if not hasattr(plain, "_csp_nonce"):
        plain._csp_nonce = secrets.token_urlsafe(16)
    return {"csp_nonce": plain._csp_nonce}
