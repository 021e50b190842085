"""The admin site: pages for staff, bound by the same visibility and rules as the API."""

from core.admin import notifications, people, scoring, settings, trail, transfer  # noqa: F401  (each registers its pages)
