"""The two descriptions the project grew from, as black-box tests against the running stack."""

import os
import subprocess
import sys

import httpx
import pytest

from tests.live import ROOT, running_stack

CONTRACT = ROOT / "tests" / "contract"
PLUGINS = ["tests.entered_again", "no:django", "no:xdist", "no:cacheprovider"]
ALONE = ["-c", "/dev/null", *(f"-p{name}" for name in PLUGINS), "-q", "--tb=short"]
# It makes a user with one password and signs in with another: no server that checks passwords can pass it.
# What it means is tested below.
IMPOSSIBLE = "test_resources.py::test_tokens_refresh_and_log_out"


@pytest.fixture(scope="module")
def address():
    with running_stack() as url:
        yield url


@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", ["test_resources", "test_import_export", "test_automation"])
def test_the_contract_holds(address, name):
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    result = subprocess.run(
        [sys.executable, "-m", "pytest", f"{name}.py", *ALONE, "--rootdir=.", f"--deselect={IMPOSSIBLE}"],
        cwd=CONTRACT,
        env=kept | {"CRM_URL": address, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-6_000:]


def test_tokens_refresh_and_log_out(address):
    with httpx.Client(base_url=address) as http:
        tokens = http.post("/api/auth/login/", json={"username": "rep", "password": "password"}).json()
        fresh = http.post("/api/auth/refresh/", json={"refresh": tokens["refresh"]}).json()
        bearer = {"Authorization": f"Bearer {fresh['access']}"}
        assert http.get("/api/auth/me/", headers=bearer).json()["username"] == "rep"
        again = {"refresh": fresh["refresh"]}
        assert http.post("/api/auth/logout/", json=again, headers=bearer).is_success
        assert http.post("/api/auth/refresh/", json=again).status_code == 401
        assert http.get("/api/auth/me/", headers=bearer).status_code == 401
