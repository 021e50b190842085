"""Everything below /api/auth/, with and without trailing slash; `api_keys` is `api-keys` too."""

from typing import Any

from django.urls import URLPattern, URLResolver, re_path
from rest_framework.routers import Route

from core.accounts.api import auth_views as views
from core.accounts.api.passkey_views import PasskeyOptionsView, PasskeySignInView, PasskeyViewSet
from core.api.routes import Router

LIST = "{basename}-list"

urlpatterns: list[URLPattern | URLResolver] = [
    re_path(r"^login/?$", views.LoginView.as_view(), name="auth-login"),
    re_path(r"^single_sign_on/?$", views.SingleSignOnView.as_view(), name="auth-single-sign-on"),
    re_path(r"^passkeys/sign_in/?$", PasskeySignInView.as_view(), name="auth-passkey-sign-in"),
    re_path(r"^passkeys/sign_in/options/?$", PasskeyOptionsView.as_view(), name="auth-passkey-options"),
    re_path(r"^refresh/?$", views.RefreshView.as_view(), name="auth-refresh"),
    re_path(r"^logout/?$", views.LogoutView.as_view(), name="auth-logout"),
    re_path(r"^me/?$", views.MeView.as_view(), name="auth-me"),
    re_path(r"^password/?$", views.PasswordView.as_view(), name="auth-password"),
    re_path(r"^password_reset/?$", views.PasswordResetView.as_view(), name="auth-password-reset"),
    re_path(r"^password_by_link/?$", views.PasswordLinkView.as_view(), name="auth-password-by-link"),
    re_path(r"^second_factor/?$", views.SecondFactorView.as_view(), name="auth-second-factor"),
    re_path(
        r"^second_factor/confirm/?$",
        views.SecondFactorConfirmView.as_view(),
        name="auth-second-factor-confirm",
    ),
    re_path(
        r"^second_factor/recovery_codes/?$",
        views.SecondFactorRenewView.as_view(),
        name="auth-second-factor-recovery-codes",
    ),
    re_path(r"^second_factor/end/?$", views.SecondFactorEndView.as_view(), name="auth-second-factor-end"),
]


class AuthRouter(Router):
    """A router that also knows DELETE on a list: all of them but the one in use."""

    def get_routes(self, viewset: Any) -> list[Route]:
        routes = super().get_routes(viewset)
        return [
            route._replace(mapping={**route.mapping, "delete": "end_others"}) if route.name == LIST else route
            for route in routes
        ]


router = AuthRouter()
router.register("passkeys", PasskeyViewSet, "auth_passkeys")
router.register("sessions", views.SessionViewSet, "auth_sessions")
router.register("api_keys", views.ApiKeyViewSet, "auth_api_keys")
urlpatterns += router.urls
