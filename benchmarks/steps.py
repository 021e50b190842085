"""Benchmarks in steps: each in a process of its own and in a fresh copy of one prepared database."""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# A step takes what was given for it (a path, a number) and says what it measured.
Step = Callable[[Any], dict[str, Any]]


class Run:
    """A server, a prepared database and copies of it, for the steps of one benchmark `module`."""

    def __init__(self, module: str, folder: Path, servers: Any) -> None:
        self.module, self.folder, self.servers = module, folder, servers
        self.base = servers.postgres.superuser_url.rsplit("/", 1)[0]
        self.environ = os.environ | {
            "CRM_ENV": "development",
            "SECRET_KEY": "benchmark-" * 6,
            "REDIS_URL": servers.valkey.url,
            "CRM_DATA_DIR": str(folder),
            "RATE_LIMIT_ENABLED": "0",
        }

    def sql(self, statement: str, database: str = "postgres") -> None:
        import psycopg

        with psycopg.connect(f"{self.base}/{database}", autocommit=True) as connection:
            connection.execute(statement)

    def prepare(self) -> None:
        self.sql("CREATE DATABASE prepared")
        environ = self.environ | {"DATABASE_URL": f"{self.base}/prepared"}
        manage = [sys.executable, "manage.py"]
        subprocess.run([*manage, "migrate", "-v0"], cwd=ROOT, env=environ, check=True)  # noqa: S603
        code = "from core.models import User; User.objects.create_superuser('bench', role='admin')"
        subprocess.run([*manage, "shell", "-c", code], cwd=ROOT, env=environ, check=True, capture_output=True)  # noqa: S603

    def copy(self, name: str, template: str) -> None:
        self.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template}")

    def step(self, name: str, given: Any, template: str = "prepared", *, keep: str = "") -> dict[str, Any]:
        """Run a step in a fresh copy of `template`; `keep` keeps the database under that name."""
        database = keep or "work"
        self.copy(database, template)
        environ = self.environ | {"DATABASE_URL": f"{self.base}/{database}"}
        command = [sys.executable, "-m", self.module, "--step", name, str(given)]
        out = subprocess.run(command, cwd=ROOT, env=environ, check=False, capture_output=True, text=True)  # noqa: S603
        if out.returncode:
            sys.exit(out.stderr[-3_000:])
        found = json.loads(out.stdout.splitlines()[-1])
        print(f"  {name:<12} {found}", flush=True)
        return found


def steps_in(names: Mapping[str, Any]) -> dict[str, Step]:
    """The functions of a module that are called `step_…`, by the rest of their names."""
    return {name.removeprefix("step_"): made for name, made in names.items() if name.startswith("step_")}


def main(module: Any, size: str, given_as: Callable[[str], Any]) -> None:
    """Carry out one step of `module`, given something as text, and print what it says; or, without `--step`,
    its `run(number, Run)`. `--<size>` is the number."""
    parser = argparse.ArgumentParser(description=module.__doc__)
    parser.add_argument(f"--{size}", type=int, default=100_000)
    parser.add_argument("--step", nargs=2, metavar=("NAME", "GIVEN"))
    arguments = parser.parse_args()
    if arguments.step:
        django_ready()
        name, given = arguments.step
        found = steps_in(vars(module))[name](given_as(given))
        print(json.dumps(found | {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000}))
        return
    from backend.testing.servers import start_servers

    servers = start_servers()
    try:
        with tempfile.TemporaryDirectory(prefix="crm-bench-") as folder:
            name = f"benchmarks.{Path(module.__file__).stem}"
            module.run(getattr(arguments, size), Run(name, Path(folder), servers))
    finally:
        servers.stop()


def django_ready() -> None:
    """Set Django up over the database that the environment names."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "backend.settings"
    import django  # after the environment says which database

    django.setup()
