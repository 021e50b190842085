"""The one list of this project's Django apps, the highest first: each may import those below it.

Settings install them, `make lint` gives them to mypy and import-linter, the architecture tests look through
them, and a test compares the image with it. A new app is one line here. Needs no Django.
"""

LOCAL_APPS = (
    "backend",
    "tasks",
    "lead_management",
    "opportunities",
    "contacts",
    "core",
)
