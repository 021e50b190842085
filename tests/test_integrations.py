"""The guides of docs/integrations are run as they are printed."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.live import ROOT, running_stack

pytestmark = pytest.mark.timeout(900)
GUIDES = ROOT / "docs" / "integrations"
NODE_MODULES = ROOT / "clients" / "node_modules"


@pytest.fixture(scope="module")
def address():
    with running_stack(RATE_LIMIT_ENABLED="0") as url:
        yield url


def printed(guide, language):
    """The blocks of a guide that are to be run, as one program."""
    text = (GUIDES / f"{guide}.md").read_text()
    blocks = re.findall(rf"^```{language} run\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert blocks, guide
    return "\n".join(blocks)


def run(command, folder, **environ):
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "CRM_"))}
    kept["PATH"] = f"{Path(sys.executable).parent}:{kept['PATH']}"
    made = subprocess.run(
        command, cwd=folder, env=kept | environ, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, f"{made.stdout[-3_000:]}\n{made.stderr[-3_000:]}"
    return made.stdout


def test_the_python_client_does_what_its_guide_says(address, tmp_path):
    generate = [sys.executable, "-m", "openapi_python_client", "generate", "--output-path", "client"]
    output = run([*generate, "--path", str(ROOT / "docs" / "openapi.yaml")], tmp_path)
    assert "warning" not in output.lower()
    (tmp_path / "quickstart.py").write_text(printed("python", "python"))
    environ = {"CRM_URL": address, "PYTHONPATH": str(tmp_path / "client")}
    assert "finished 20" in run([sys.executable, "quickstart.py"], tmp_path, **environ)


@pytest.mark.skipif(not NODE_MODULES.is_dir(), reason="`npm ci --prefix clients` brings the TypeScript tools")
def test_the_typescript_client_does_what_its_guide_says(address, tmp_path):
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    shutil.copy(ROOT / "clients" / "package.json", tmp_path)
    tools, document = NODE_MODULES / ".bin", ROOT / "docs" / "openapi.yaml"
    run([str(tools / "openapi-typescript"), str(document), "--output", "schema.d.ts"], tmp_path)
    (tmp_path / "quickstart.ts").write_text(printed("typescript", "ts"))
    strict = "--noEmit --strict --target es2022 --module esnext --moduleResolution bundler --types node"
    run([str(tools / "tsc"), *strict.split(), "--skipLibCheck", "quickstart.ts"], tmp_path)
    assert "contact" in run([str(tools / "tsx"), "quickstart.ts"], tmp_path, CRM_URL=address)


def test_the_incremental_load_takes_over_what_changed_and_nothing_twice(address, tmp_path):
    (tmp_path / "load.py").write_text(printed("incremental-load", "python"))
    with httpx.Client(base_url=address, timeout=60) as client:
        tokens = client.post("/api/auth/login/", json={"username": "admin", "password": "password"}).json()
        client.headers["Authorization"] = f"Bearer {tokens['access']}"
        wanted = {"name": "Warehouse", "scopes": ["leads:read", "changes:read"]}
        key = client.post("/api/auth/api_keys/", json=wanted).json()["key"]
        environ = {"CRM_URL": address, "CRM_API_KEY": key, "WAREHOUSE": "warehouse.db"}

        def loaded():
            return int(run([sys.executable, "load.py"], tmp_path, **environ))

        assert loaded() > 0
        rows = (
            sqlite3.connect(tmp_path / "warehouse.db").execute("SELECT id FROM leads ORDER BY id").fetchall()
        )
        assert len(rows) == client.get("/api/v1/leads/").json()["count"]
        client.patch(f"/api/v1/leads/{rows[0][0]}/", json={"city": "Turin"})
        client.delete(f"/api/v1/leads/{rows[1][0]}/")
        assert loaded() == 2
        left = (
            sqlite3.connect(tmp_path / "warehouse.db").execute("SELECT id FROM leads ORDER BY id").fetchall()
        )
        assert left == [rows[0], *rows[2:]]
