"""The admin site's bases: pages for staff, bound by the same visibility and rules as the API."""
