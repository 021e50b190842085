#!/usr/bin/env python
"""Django's command line, started with this project's settings."""

import os
import sys

# Commands that work without a database; every other one finds the embedded servers started.
WITHOUT_SERVICES = {
    "check",
    "collectstatic",
    "diffsettings",
    "help",
    "run_stack",
    "services",
    "spectacular",
    "version",
}


def main() -> int:
    """Run one command. A configuration that cannot be is one sentence, not a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.settings")
    from backend.env import ConfigurationError  # after the settings module is named
    from backend.launch import ensure_services

    try:
        if len(sys.argv) > 1 and not sys.argv[1].startswith("-") and sys.argv[1] not in WITHOUT_SERVICES:
            ensure_services(lambda sentence: print(sentence, file=sys.stderr))  # noqa: T201
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)
    except ConfigurationError as problem:
        print(f"Error: {problem}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
