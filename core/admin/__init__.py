"""The admin site: pages for staff, bound by the same visibility and rules as the API."""

from django.contrib import admin
from django.contrib.auth.models import Group

from core.admin import automation, notifications, people, scoring, settings, trail, transfer  # noqa: F401  (each registers its pages)
from core.admin.login import LoginForm

# Rights come from roles: a group would give its members nothing.
admin.site.unregister(Group)
# Not by unfold's setting: it would import these pages while the site they register with is being made.
admin.site.login_form = LoginForm
