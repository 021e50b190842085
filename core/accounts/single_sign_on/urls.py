"""/sso/: the pages around the identity provider."""

from django.urls import path

from core.accounts.single_sign_on import views

urlpatterns = [
    path("login/", views.begin, name="sso-login"),
    path("callback/", views.callback, name="sso-callback"),
]
