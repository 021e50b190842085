#!/usr/bin/env python
"""Django's command line, started with this project's settings."""

import os
import sys

# Commands that work without a database; every other one finds the embedded servers started.
WITHOUT_SERVICES = {"check", "collectstatic", "diffsettings", "help", "services", "spectacular", "version"}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.settings")
    from django.core.management import execute_from_command_line  # after the settings module is named

    from backend.development.defaults import command_defaults
    from backend.env import problems_as_a_sentence
    from backend.launch import ensure_services

    with problems_as_a_sentence():
        command_defaults()
        command = sys.argv[1] if len(sys.argv) > 1 else "help"
        if not command.startswith("-") and command not in WITHOUT_SERVICES:
            ensure_services(lambda sentence: print(sentence, file=sys.stderr))  # noqa: T201
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
