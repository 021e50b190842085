"""What every process does before it takes up work."""

import gc
import os
from collections.abc import Callable
from typing import TypeVar

from backend.development.embedded.services import services_of_checkout
from backend.env import ConfigurationError, problems_as_a_sentence

Application = TypeVar("Application")


def ensure_services(progress: Callable[[str], None] = lambda sentence: None) -> None:
    """Start the embedded servers, unless the environment names real ones."""
    services_of_checkout().ensure_running(progress)


def start_web(make_application: Callable[[], Application]) -> Application:
    """The web application, when servers run and the configuration is fit to serve with."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.settings")
    with problems_as_a_sentence():
        ensure_services()
        application = make_application()
        refuse_unsafe_start()
    # What is there now stays until the end: the collector need not look at it after every few requests.
    gc.collect()
    gc.freeze()
    return application


def refuse_unsafe_start() -> None:
    """Raise ConfigurationError naming every reason not to start with these settings."""
    from backend.checks import start_problems  # reads the settings, which must be named first

    problems = start_problems()
    if problems:
        raise ConfigurationError(" ".join(problems))
