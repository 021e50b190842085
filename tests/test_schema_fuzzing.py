"""Schemathesis over the committed OpenAPI document: whatever is sent, no answer is a server error.

`make test` sends every operation a few examples, `make fuzz` more of them and every boundary case.
"""

import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.live import ROOT, running_stack

SCHEMA = ROOT / "docs" / "openapi.yaml"
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
SCHEMATHESIS = str(Path(sys.executable).with_name("st"))
# They would end the very session that the requests are made in.
LEFT_OUT = (
    r"^/api/auth/(login|refresh|logout|password|sessions|api_keys|second_factor|passkeys)"
    r"|^/api/v1/users/\{id\}/(end_sessions|hand_over|remove_passkey|reset_second_factor|)/?$"
)
PASSWORD = "a staple for the horse"
WHOLE = "FUZZ_EXAMPLES" in os.environ
# Deterministic, so that a red run can be repeated.
OPTIONS = [
    "--checks=not_a_server_error",
    f"--max-examples={os.environ.get('FUZZ_EXAMPLES', '2')}",
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


# Of an option that is given twice the last one counts, so all addresses to leave out stand in one.
EVERYTHING = f"--exclude-path-regex={LEFT_OUT}"
# Boundary cases (coverage) are twenty thousand requests, a quarter of an hour of what all tests may take.
PHASES = ["coverage", "examples,fuzzing"] if WHOLE else ["examples,fuzzing"]


def signed_in(address, role):
    """A header that signs requests by somebody whom no boundary case of an id hits."""
    with httpx.Client(base_url=address, timeout=60) as client:
        admin = client.post("/api/auth/login/", json={"username": "admin", "password": "password"}).json()
        person = {"username": f"fuzzing-{uuid4()}", "role": role, "password": PASSWORD}
        headers = {"Authorization": f"Bearer {admin['access']}"}
        made = client.post("/api/v1/users/", json=person, headers=headers)
        assert made.status_code == 201, made.text
        body = {"username": person["username"], "password": PASSWORD}
        return f"Bearer {client.post('/api/auth/login/', json=body).json()['access']}"


@pytest.mark.timeout(14_400 if WHOLE else 2_400)
@pytest.mark.parametrize("user", ["admin", "rep"])
def test_no_input_makes_a_server_error(address, user):
    bearer = signed_in(address, user)
    command = [SCHEMATHESIS, f"--config-file={CONFIGURATION}", "run", str(SCHEMA), f"--url={address}"]
    command += ["--header", f"Authorization: {bearer}", EVERYTHING, *OPTIONS]
    for phases in PHASES:
        run = [*command, f"--phases={phases}"]
        result = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout[-8_000:]
        # Without it all that followed was refused, and nothing was tried.
        still_signed_in = httpx.get(f"{address}/api/auth/me/", headers={"Authorization": bearer})
        assert still_signed_in.status_code == 200, still_signed_in.text
