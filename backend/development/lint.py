"""Every check but the tests: `make lint`, which is `python -m backend.development.lint`. It starts no server.

One line per check; the output of those that failed follows at the end.
"""

import importlib.util
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from backend.env import BASE_DIR
from backend.local_apps import LOCAL_APPS

SCHEMA = Path("docs/openapi.yaml")
# Linters of the document, by `npm ci --prefix clients`; CI has them, a machine without Node does without.
NODE_TOOLS = BASE_DIR / "clients" / "node_modules" / ".bin"
PARALLEL = 2
SHOWN_LINES = 80
NOBODY_LISTENS = "127.0.0.1:1"
GREEN, RED = 0, 1


@dataclass(frozen=True)
class Check:
    """A command that ends with 0 when all is well, and the environment it runs in beyond ours."""

    name: str
    command: list[str]
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CheckResult:
    """What came of a check; `seconds` of wall clock."""

    check: Check
    passed: bool
    output: str
    seconds: float

    @property
    def line(self) -> str:
        """For people."""
        return f"{'ok' if self.passed else 'FAILED':<7} {self.check.name} ({self.seconds:.1f} s)"


def offline(data: str) -> dict[str, str]:
    """Settings that are read without a server: nobody listens at the addresses, and nothing gets started."""
    return {
        "CRM_ENV": "development",
        "DEBUG": "0",
        "CRM_DATA_DIR": data,
        "DATABASE_URL": f"postgresql://nobody@{NOBODY_LISTENS}/none",
        "REDIS_URL": f"redis://{NOBODY_LISTENS}/0",
        # Without a database Django warns that it cannot compare its history with the files.
        "PYTHONWARNINGS": "ignore:Got an error checking a consistent migration history",
    }


def production(data: str) -> dict[str, str]:
    """The environment of a careful production server."""
    return offline(data) | {
        "CRM_ENV": "production",
        "DATABASE_MIGRATION_URL": f"postgresql://owner@{NOBODY_LISTENS}/none",
        "SECRET_KEY": secrets.token_urlsafe(64),
        "ALLOWED_HOSTS": "crm.example.com",
        "PUBLIC_URL": "https://crm.example.com",
    }


def checks(data: str) -> list[Check]:
    """Everything to run, the longest first."""
    python = [sys.executable, "-m"]
    manage = [sys.executable, "manage.py"]
    found = [
        Check("types (mypy)", [*python, "mypy", *packages()], offline(data)),
        Check("style (ruff check)", [*python, "ruff", "check", "."]),
        Check("format (ruff format --check)", [*python, "ruff", "format", "--check", "."]),
        Check("layers (import-linter)", [*python, "backend.development.layers"]),
        Check("locks of the requirements", [*python, "backend.development.locks"]),
        Check("names (retired words)", [*python, "backend.development.names"]),
        Check("translations", [*python, "backend.development.messages"]),
        Check(
            "migrations (makemigrations --check)",
            [*manage, "makemigrations", "--check", "--dry-run"],
            offline(data),
        ),
        Check("migrations that lock", [*python, "backend.development.migrations"], offline(data)),
        Check(
            "deployment (check --deploy)",
            [*manage, "check", "--deploy", "--fail-level=WARNING"],
            production(data),
        ),
        *site_builds(data),
    ]
    if (BASE_DIR / SCHEMA).exists():
        found.append(
            Check(f"API schema ({SCHEMA})", [*python, "backend.development.lint", "schema"], offline(data))
        )
        found.append(Check("Postman collection", [*python, "backend.development.postman", "--check"]))
        found += document_linters()
    return found


def site_builds(folder: str) -> list[Check]:
    """The documentation as a site, where MkDocs is installed or must be: a link to nothing is a failure."""
    if not (importlib.util.find_spec("mkdocs") or os.environ.get("CI")):
        return []
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", f"--site-dir={folder}/site"]
    return [Check("documentation (mkdocs)", build, {"NO_MKDOCS_2_WARNING": "1"})]


def document_linters() -> list[Check]:
    """Redocly and Spectral over the API document, where they are installed or must be."""
    if not (NODE_TOOLS.is_dir() or os.environ.get("CI")):
        return []
    quiet = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
    redocly = [str(NODE_TOOLS / "redocly"), "lint", str(SCHEMA), "--config=clients/redocly.yaml"]
    spectral = [str(NODE_TOOLS / "spectral"), "lint", str(SCHEMA), "-r", "clients/spectral.yaml"]
    return [
        Check("API document (redocly)", redocly, quiet),
        Check("API document (spectral)", [*spectral, "--fail-severity=warn"]),
    ]


def packages() -> list[str]:
    """mypy's arguments that name our apps."""
    return [argument for app in LOCAL_APPS for argument in ("-p", app)]


def schema_differences(committed: Path) -> str:
    """What differs between the committed OpenAPI file and the code's, and every warning of the generator.

    Empty when the file is the code's.
    """
    with tempfile.TemporaryDirectory(prefix="crm-schema-") as folder:
        fresh = Path(folder) / "fresh.yaml"
        command = [sys.executable, "manage.py", "spectacular", "--validate", "--fail-on-warn", "--file"]
        made = _run([*command, str(fresh)], {})
        if made.returncode:
            return made.stdout
        compared = _run(["diff", "-u", str(committed), str(fresh)], {})
        return compared.stdout and f"{compared.stdout}\n`make schema` writes the file anew."


def run(check: Check) -> CheckResult:
    """The outcome of one check."""
    started = time.monotonic()
    result = _run(check.command, check.environ)
    return CheckResult(check, result.returncode == 0, result.stdout, time.monotonic() - started)


def shortened(output: str) -> str:
    """The first lines of an output, and how many there are more."""
    lines = output.rstrip().splitlines()
    more = len(lines) - SHOWN_LINES
    return "\n".join(lines[:SHOWN_LINES] + ([f"... and {more} lines more"] if more > 0 else []))


def outcomes(wanted: list[Check]) -> Iterator[CheckResult]:
    """In the order of the checks, some at a time."""
    with ThreadPoolExecutor(PARALLEL) as pool:
        yield from pool.map(run, wanted)


def _run(command: list[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  the commands are ours
        command,
        cwd=BASE_DIR,
        env=os.environ | environ,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def report(wanted: list[Check]) -> int:
    """Run the checks and print what came of them; the exit code."""
    failed = []
    for outcome in outcomes(wanted):
        _print(outcome.line)
        if not outcome.passed:
            failed.append(outcome)
    for outcome in failed:
        _print(f"\n--- {outcome.check.name}\n{shortened(outcome.output)}")
    return RED if failed else GREEN


def main(arguments: list[str]) -> int:
    """All checks, or with `schema` the comparison of the OpenAPI file alone."""
    if arguments == ["schema"]:
        differences = schema_differences(BASE_DIR / SCHEMA)
        _print(differences)
        return RED if differences else GREEN
    with tempfile.TemporaryDirectory(prefix="crm-lint-") as data:
        code = report(checks(data))
        if not site_builds(data):
            _print("skipped the documentation's site: MkDocs comes by requirements-dev.txt")
    if not (BASE_DIR / SCHEMA).exists():
        _print(f"skipped API schema: {SCHEMA} is not there yet (`make schema` writes it)")
    elif not document_linters():
        _print("skipped redocly and spectral: they come by `npm ci --prefix clients`, which needs Node")
    return code


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
