"""Schemathesis over the committed OpenAPI document: whatever is sent, no answer is a server error."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.live import ROOT, running_stack

SCHEMA = ROOT / "docs" / "openapi.yaml"
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
SCHEMATHESIS = str(Path(sys.executable).with_name("st"))
# They would end the very session that the requests are made in.
LEFT_OUT = r"^/api/auth/(login|refresh|logout|password|sessions|api-keys)"
# Deterministic, so that a red run can be repeated; more examples find more: --max-examples 200.
OPTIONS = [
    "--checks=not_a_server_error",
    "--max-examples=2",
    "--generation-deterministic",
    "--continue-on-failure",
    "--workers=1",
    "--request-timeout=30",
    "--warnings=off",
    "--suppress-health-check=all",
]


@pytest.fixture(scope="module")
def address():
    with running_stack(RATE_LIMIT_ENABLED="0", JWT_ACCESS_LIFETIME="2h") as url:
        yield url


# What takes the filters of a list: these have their boundary cases at the list.
FILTERED = r"^/api/v1/(reports|\w+/(statistics|stats|pipeline|forecast))/"
# Boundary cases (coverage) are many; what a rep may do passes through the same code as what an admin may.
RUNS = {
    "admin": [("coverage", f"{LEFT_OUT}|{FILTERED}"), ("examples,fuzzing", LEFT_OUT)],
    "rep": [("examples,fuzzing", LEFT_OUT)],
}


@pytest.mark.timeout(2400)
@pytest.mark.parametrize("user", RUNS)
def test_no_input_makes_a_server_error(address, user):
    signed_in = httpx.post(f"{address}/api/auth/login/", json={"username": user, "password": "password"})
    bearer = f"Authorization: Bearer {signed_in.json()['access']}"
    command = [SCHEMATHESIS, f"--config-file={CONFIGURATION}", "run", str(SCHEMA), f"--url={address}"]
    command += ["--header", bearer, *OPTIONS]
    for phases, left_out in RUNS[user]:
        run = [*command, f"--phases={phases}", "--exclude-path-regex", left_out]
        result = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout[-8_000:]
