"""/scim/: one view, for the protocol's library knows what is below."""

from django.urls import re_path

from core.accounts.scim.views import ScimView

urlpatterns = [re_path(r"^v2(?:/.*)?$", ScimView.as_view(), name="scim")]
