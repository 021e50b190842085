"""The whole stack as `make run` starts it, in a folder and on ports of its own."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from backend.development.embedded import ports
from backend.development.embedded.services import Services
from backend.env import Env
from backend.testing.stacks import fill

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 300
STOP_SECONDS = 30
# What the test run set for its own processes must not lead the stack to the test servers.
OURS = (
    "DATABASE_URL",
    "DATABASE_MIGRATION_URL",
    "REDIS_URL",
    "SECRET_KEY",
    "DJANGO_SETTINGS_MODULE",
    "PYTEST_CURRENT_TEST",
    "DEBUG",
    "CRM_ENV",
)


@contextmanager
def running_stack(**environ: str) -> Iterator[str]:
    """The address of a freshly migrated CRM with its demo data; everything is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="crm-live-") as folder:
        fill(Path(folder) / "data")
        port = ports.any_free()
        log = Path(folder) / "stack.log"
        process = _start(folder, port, log, environ)
        try:
            yield _ready(f"http://127.0.0.1:{port}", process, log)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(STOP_SECONDS)
            # Under root the servers' files lie elsewhere, for nobody else may enter the folder.
            Services((Path(folder) / "data").resolve(), Env({})).remove()


def _start(folder: str, port: int, log: Path, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    own = {key: value for key, value in os.environ.items() if key not in OURS}
    # Few leads: no model is trained while the stack starts.
    own |= {
        "CRM_DEMO_LEADS": "60",
        "CRM_DATA_DIR": str(Path(folder) / "data"),
        "CRM_WEB_PORT": str(port),
        **environ,
    }
    command = [sys.executable, "-m", "backend.development.stack", "--stop-with-parent"]
    with log.open("wb") as output:
        return subprocess.Popen(command, cwd=ROOT, env=own, stdout=output, stderr=subprocess.STDOUT)


def _ready(url: str, process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/readyz", timeout=2).status_code == 200:
                return url
        except httpx.HTTPError:
            time.sleep(0.2)
    raise AssertionError(f"the stack did not start:\n{log.read_text()[-3_000:]}")
