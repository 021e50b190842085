"""The two descriptions the project grew from, as black-box tests against the running stack."""

import os
import subprocess
import sys

import pytest

from tests.live import ROOT, running_stack

CONTRACT = ROOT / "tests" / "contract"
ALONE = [
    "-c",
    "/dev/null",
    "-pno:django",
    "-pno:xdist",
    "-pno:cacheprovider",
    "--confcutdir=.",
    "-q",
    "--tb=short",
]


@pytest.fixture(scope="module")
def address():
    with running_stack() as url:
        yield url


@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", ["test_resources", "test_import_export", "test_automation"])
def test_the_contract_holds(address, name):
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    result = subprocess.run(
        [sys.executable, "-m", "pytest", f"{name}.py", *ALONE, "--rootdir=."],
        cwd=CONTRACT,
        env=kept | {"CRM_URL": address},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-6_000:]
