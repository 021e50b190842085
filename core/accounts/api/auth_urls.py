"""Everything below /api/auth/, with and without trailing slash; `api_keys` is `api-keys` too."""

from django.urls import URLPattern, re_path

from core.accounts.api import auth_views as views

urlpatterns: list[URLPattern] = [
    re_path(r"^login/?$", views.LoginView.as_view(), name="auth-login"),
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
    re_path(r"^sessions/?$", views.SessionsView.as_view(), name="auth-sessions"),
    re_path(r"^sessions/(?P<pk>[^/]+)/?$", views.SessionView.as_view(), name="auth-session"),
    re_path(r"^api_keys/?$", views.ApiKeysView.as_view(), name="auth-api-keys"),
    re_path(r"^api_keys/(?P<pk>[^/]+)/?$", views.ApiKeyView.as_view(), name="auth-api-key"),
    re_path(r"^api-keys/?$", views.ApiKeysView.as_view(), name="auth-api-keys-hyphenated"),
    re_path(r"^api-keys/(?P<pk>[^/]+)/?$", views.ApiKeyView.as_view(), name="auth-api-key-hyphenated"),
]
