"""The application's settings with the plain viewset's addresses beside its own."""

from backend.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.plain"
