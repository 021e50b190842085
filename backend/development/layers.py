"""Which module may import which: import-linter's contracts, made from the lists of apps and features.

So a new app or feature is one line in its list (backend/local_apps.py, core/features.py), and this holds it
to its place. `python -m backend.development.layers` checks.
"""

import configparser
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from importlinter.cli import lint_imports

from backend.local_apps import LOCAL_APPS
from core.features import FEATURES

# Tests may look at the whole from any floor; migrations name what they were made with.
TESTS = ("**.tests.** -> **", "**.tests -> **", "core.conftest -> **", "core.migrations.** -> **")
TOP = "apps | tasks | management"
FOUNDATION = (
    "api | admin | demo",
    "changes",
    "conditions",
    "entities",
    "models",
    "access",
    "outbound",
    "standalone_runner | retention",
    "clock | jobs | conf | errors | labels | personal_data | prepared | retry | second_connection",
    "registry | features",
)
PRODUCTION = (
    *("backend.settings", "backend.urls", "backend.asgi", "backend.wsgi", "backend.celery"),
    "backend.development.stack",
    *(app for app in LOCAL_APPS if app != "backend"),
)

Options = Mapping[str, str | Sequence[str]]
CONTRACTS: Sequence[Options] = (
    {"name": "Apps import downwards", "type": "layers", "layers": LOCAL_APPS, "ignore_imports": TESTS},
    {
        "name": "Inside core: features on a foundation, each importing only what precedes it in its list",
        "type": "layers",
        "containers": ["core"],
        "layers": [TOP, *reversed(FEATURES), *FOUNDATION],
        "exhaustive": "true",
        "exhaustive_ignores": ["migrations", "tests", "conftest"],
        "ignore_imports": TESTS,
    },
    {
        "name": "No two packages or modules import each other",
        "type": "acyclic_siblings",
        "ancestors": LOCAL_APPS,
        "ignore_imports": TESTS,
    },
    {
        "name": "Starting servers and reading the environment needs no Django",
        "type": "forbidden",
        "source_modules": ["backend.development.embedded", "backend.env", "backend.launch"],
        "forbidden_modules": ["django", "core"],
        "allow_indirect_imports": "true",
    },
    {
        "name": "What runs does not import what tests",
        "type": "forbidden",
        "source_modules": PRODUCTION,
        "forbidden_modules": ["backend.testing", "pytest", "factory", "hypothesis"],
        "ignore_imports": TESTS,
    },
)


def configuration() -> configparser.ConfigParser:
    """The contracts as import-linter reads them."""
    made = configparser.ConfigParser()
    made["importlinter"] = _section({"root_packages": LOCAL_APPS, "include_external_packages": "true"})
    for number, options in enumerate(CONTRACTS):
        more = {"unmatched_ignore_imports_alerting": "none"} if "ignore_imports" in options else {}
        made[f"importlinter:contract:{number}"] = _section({**options, **more})
    return made


def _section(options: Options) -> dict[str, str]:
    """A list is written one item to a line, below its name."""
    return {
        key: value if isinstance(value, str) else "\n".join(("", *value)) for key, value in options.items()
    }


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="crm-layers-") as folder:
        path = Path(folder) / "importlinter.ini"
        with path.open("w") as file:
            configuration().write(file)
        return lint_imports(config_filename=str(path), no_logo=True, cache_dir=".import_linter_cache")


if __name__ == "__main__":
    sys.exit(main())
