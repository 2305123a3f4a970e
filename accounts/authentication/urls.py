"""The pages of the account: only those of allauth's that operators need. No sign-up, no reset by mail."""

from __future__ import annotations

from allauth.account import views
from allauth.socialaccount import views as sso_views
from allauth.socialaccount.providers.openid_connect import views as oidc_views
from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("login/", views.login, name="account_login"),
    path("logout/", views.logout, name="account_logout"),
    path("inactive/", views.account_inactive, name="account_inactive"),
    path("reauthenticate/", views.reauthenticate, name="account_reauthenticate"),
    path("password/change/", views.password_change, name="account_change_password"),
    path("2fa/", include("allauth.mfa.urls")),
    path("sso/cancelled/", sso_views.login_cancelled, name="socialaccount_login_cancelled"),
    path("sso/error/", sso_views.login_error, name="socialaccount_login_error"),
    path("oidc/<str:provider_id>/login/", oidc_views.login, name="openid_connect_login"),
    path("oidc/<str:provider_id>/login/callback/", oidc_views.callback, name="openid_connect_callback"),
]
