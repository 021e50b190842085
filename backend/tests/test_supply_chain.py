"""What is installed: locked by hash as the requirements ask, listed, and looked up."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata

import pytest

from backend.development import locks, supply_chain
from backend.development.locks import Lock
from backend.env import BASE_DIR

HASH = "--hash=sha256:" + "a" * 64
NAMES = ("Django", "asgiref", "sqlparse")
LOCK = Lock("requirements-image.lock", ("requirements.txt",))


def entry(name, version=None):
    return f"{name}=={version or metadata.version(name)} \\\n    {HASH}\n"


@pytest.fixture
def folder(tmp_path):
    """A project that needs Django alone."""
    (tmp_path / "requirements.txt").write_text(f"# What runs.\nDjango=={metadata.version('Django')}\n")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "shop"\nversion = "1.2"\n')
    (tmp_path / LOCK.name).write_text("# made\n" + "".join(map(entry, NAMES)))
    return tmp_path


def test_a_whole_lock_has_no_faults(folder):
    assert list(locks.faults(folder, LOCK)) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("".join(map(entry, NAMES[1:])), "has Django not at all"),
        (entry("Django", "5.0") + "".join(map(entry, NAMES[1:])), "has Django==5.0, Django=="),
        ("".join(map(entry, NAMES[:2])), "lacks sqlparse, which something in it needs"),
        ("".join(map(entry, (*NAMES, "redis"))), "has redis, which nothing in it needs"),
        ("".join(map(entry, NAMES)).replace(HASH, "--hash=md5:1"), "has no hashes of Django"),
        ("".join(map(entry, NAMES)).replace("asgiref==", "asgiref>="), "pins no version of asgiref"),
    ],
)
def test_a_lock_that_is_not_the_requirements_is_named(folder, text, fault):
    (folder / LOCK.name).write_text(text)
    assert any(fault in found for found in locks.faults(folder, LOCK))


def test_a_lock_that_is_not_there_is_named(folder):
    (folder / LOCK.name).unlink()
    assert list(locks.faults(folder, LOCK)) == ["requirements-image.lock is missing"]


def test_ours_hold_what_is_installed_with_hashes_and_nothing_of_where_it_came_from():
    for lock in locks.LOCKS:
        assert list(locks.faults(BASE_DIR, lock)) == []
        text = (BASE_DIR / lock.name).read_text()
        assert "://" not in text
        assert "index-url" not in text
    names = {found.name for found, _ in locks.locked(BASE_DIR / "requirements-image.lock")}
    assert not names & (locks.LOCAL_SERVERS | {"pytest", "hypothesis"})


def test_make_and_the_image_install_by_hash():
    makefile, image = (BASE_DIR / "Makefile").read_text(), (BASE_DIR / "deploy/Dockerfile").read_text()
    assert "INSTALL := -m pip install --disable-pip-version-check --require-hashes\n" in makefile
    assert makefile.count("$(INSTALL) -r requirements") == 2
    assert "--require-hashes -r requirements-image.lock" in image


def test_the_list_names_releases_licences_hashes_and_what_needs_what(folder):
    bom = json.loads(supply_chain.sbom(folder))
    assert (bom["specVersion"], bom["metadata"]["component"]["name"]) == ("1.6", "shop")
    found = {one["name"]: one for one in bom["components"]}
    assert set(found) == {"django", "asgiref", "sqlparse"}
    django = found["django"]
    assert django["version"] == metadata.version("Django")
    assert "BSD-3-Clause" in json.dumps(django["licenses"])
    [files] = django["externalReferences"]
    assert files["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    needed = {one["ref"]: one.get("dependsOn", []) for one in bom["dependencies"]}
    purl = {name: one["purl"] for name, one in found.items()}
    assert needed[bom["metadata"]["component"]["bom-ref"]] == [purl["django"]]
    assert needed[purl["django"]] == sorted([purl["asgiref"], purl["sqlparse"]])
    assert supply_chain.sbom(folder) == supply_chain.sbom(folder)


class KnownFaults(BaseHTTPRequestHandler):
    """As OSV answers: Django has one."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fault = {
            "id": "PYSEC-2099-1",
            "aliases": ["CVE-2099-0001"],
            "summary": "It is a test.",
            "affected": [
                {
                    "package": {"name": "django", "ecosystem": "PyPI"},
                    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.1"}]}],
                }
            ],
        }
        body = json.dumps({"vulns": [fault]} if asked["package"]["name"].lower() == "django" else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def database(monkeypatch):
    """A database of known faults on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), KnownFaults)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("OSV_URL", f"http://127.0.0.1:{server.server_port}/v1/query")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_known_faults_are_named(folder, database, capsys):
    assert supply_chain.main(["audit", str(folder / LOCK.name)]) == supply_chain.FOUND
    version = metadata.version("Django")
    assert capsys.readouterr().out.splitlines() == [
        f"django {version}: PYSEC-2099-1, CVE-2099-0001 (mended in 99.1)",
        "releases looked up: 3, known faults: 1",
    ]


def test_a_database_that_is_away_is_said(folder, monkeypatch, capsys):
    monkeypatch.setenv("OSV_URL", "http://127.0.0.1:1/v1/query")
    assert supply_chain.main(["audit", str(folder / LOCK.name)]) == supply_chain.NOT_LOOKED
    assert "cannot be asked, nothing was looked up" in capsys.readouterr().out


def test_images_are_pinned_by_digest(tmp_path, monkeypatch, capsys):
    """A program in Docker's place: no registry is reached from here."""
    old, new = "sha256:" + "0" * 64, "sha256:" + "b" * 64
    (tmp_path / "Dockerfile").write_text("FROM python:3.11-slim AS build\nFROM python:3.11-slim\n")
    compose = f"  image: crm-backend\n    image: postgres:18@{old}\n    image: valkey/valkey:9\n"
    (tmp_path / "compose.yaml").write_text(compose)
    program = tmp_path / "docker"
    program.write_text(f"#!/bin/sh\necho {new}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert supply_chain.pin_images(tmp_path) == supply_chain.DONE
    made = f"FROM python:3.11-slim@{new} AS build\nFROM python:3.11-slim@{new}\n"
    assert (tmp_path / "Dockerfile").read_text() == made
    made = f"  image: crm-backend\n    image: postgres:18@{new}\n    image: valkey/valkey:9@{new}\n"
    assert (tmp_path / "compose.yaml").read_text() == made
    program.write_text("#!/bin/sh\necho no such host >&2\nexit 1\n")
    assert supply_chain.pin_images(tmp_path) == supply_chain.NOT_LOOKED
    assert "no such host" in capsys.readouterr().out
    assert (tmp_path / "compose.yaml").read_text() == made
