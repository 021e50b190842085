"""Schemathesis over the committed OpenAPI document: whatever is sent, no answer is a server error.

`make fuzz` asks every boundary case and more examples; `make test` what reaches all code at least once.
"""

import os
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
LEFT_OUT = (
    r"^/api/auth/(login|refresh|logout|password|sessions|api_keys|second_factor)"
    r"|^/api/v1/users/\{id\}/(end_sessions|hand_over|reset_second_factor|)/?$"
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


# What takes the filters of a list: these have their boundary cases at the list.
FILTERED = r"^/api/v1/(reports|\w+/(statistics|stats|pipeline|forecast))/"
# What reads the fields that POST reads, as PUT and PATCH do.
FIELDS_OF_POST = r"/(bulk_create|bulk_upsert|update_occurrence|update_following)/$"
# Of an option that is given twice the last one counts, so all addresses to leave out stand in one.
EVERYTHING = [f"--exclude-path-regex={LEFT_OUT}"]
READ_ONCE = [
    f"--exclude-path-regex={LEFT_OUT}|{FILTERED}|{FIELDS_OF_POST}",
    "--exclude-method=PUT",
    "--exclude-method=PATCH",
]
# Boundary cases (coverage) are many; what a rep may do passes through the same code as what an admin may.
RUNS = {
    "admin": {"coverage": EVERYTHING if WHOLE else READ_ONCE, "examples,fuzzing": EVERYTHING},
    "rep": {"examples,fuzzing": EVERYTHING},
}


def signed_in(address, role):
    """A header that signs requests by somebody whom no boundary case of an id hits."""
    with httpx.Client(base_url=address, timeout=60) as client:
        admin = client.post("/api/auth/login/", json={"username": "admin", "password": "password"}).json()
        person = {"username": f"fuzzing-{role}", "role": role, "password": PASSWORD}
        headers = {"Authorization": f"Bearer {admin['access']}"}
        made = client.post("/api/v1/users/", json=person, headers=headers)
        assert made.status_code == 201, made.text
        body = {"username": person["username"], "password": PASSWORD}
        return f"Bearer {client.post('/api/auth/login/', json=body).json()['access']}"


@pytest.mark.timeout(14_400 if WHOLE else 2_400)
@pytest.mark.parametrize("user", RUNS)
def test_no_input_makes_a_server_error(address, user):
    bearer = signed_in(address, user)
    command = [SCHEMATHESIS, f"--config-file={CONFIGURATION}", "run", str(SCHEMA), f"--url={address}"]
    command += ["--header", f"Authorization: {bearer}", *OPTIONS]
    for phases, left_out in RUNS[user].items():
        run = [*command, f"--phases={phases}", *left_out]
        result = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout[-8_000:]
        # Without it all that followed was refused, and nothing was tried.
        still_signed_in = httpx.get(f"{address}/api/auth/me/", headers={"Authorization": bearer})
        assert still_signed_in.status_code == 200, still_signed_in.text
