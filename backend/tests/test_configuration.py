"""The documents against the code: what is read from the environment, and what a deployment is told to set."""

import ast
import re

import pytest
import yaml

from backend.env import BASE_DIR

READERS = {
    "text": "text",
    "flag": "flag",
    "integer": "whole number",
    "integers": "whole numbers",
    "_asked_port": "whole number",
    "number": "number",
    "words": "list",
    "choice": "choice",
    "url": "URL",
    "duration": "time",
    "rate": "rate",
    "time_zone": "time zone",
    "pattern": "pattern",
    "pairs": "pairs",
}
# Read to be handed on, not to be set for the CRM.
OF_THE_SHELL = {"PATH"}
OF_COMPOSE = {"POSTGRES_PASSWORD", "VALKEY_PASSWORD"}
FOLDERS = ("backend", "core", "contacts", "opportunities", "lead_management", "tasks")


def readings(source):
    """Each (variable, type) that a source reads."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            name = node.args[0]
            if node.func.attr in READERS and isinstance(name, ast.Constant):
                yield name.value, READERS[node.func.attr]


@pytest.fixture(scope="module")
def read():
    """Type by variable, of all that the code reads."""
    sources = [path for folder in FOLDERS for path in (BASE_DIR / folder).rglob("*.py")]
    product = [path for path in sources if not {"tests", "testing"} & set(path.parts)]
    found = [reading for path in product for reading in readings(path.read_text())]
    known = {name: kind for name, kind in found if re.fullmatch(r"[A-Z][A-Z0-9_]+", str(name))}
    return {name: kind for name, kind in known.items() if name not in OF_THE_SHELL}


@pytest.fixture(scope="module")
def documented():
    """Type by variable, of all rows in docs/configuration.md."""
    text = (BASE_DIR / "docs" / "configuration.md").read_text()
    rows = re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", text, flags=re.M)
    assert len(rows) == len({name for name, *_ in rows}), "a variable is there twice"
    return {name: kind for name, kind, _, _ in rows}


def compose():
    return yaml.safe_load((BASE_DIR / "deploy" / "compose.yaml").read_text())


def example():
    text = (BASE_DIR / ".env.example").read_text()
    return set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", text, flags=re.M))


def test_every_variable_that_is_read_is_documented_with_its_type_and_no_other(read, documented):
    assert len(read) > 40
    assert documented == read


def test_a_reading_is_found_in_the_source():
    source = "a = env.flag('ONE', True)\nb = self._asked_port('TWO')\nc = other('THREE')"
    assert set(readings(source)) == {("ONE", "flag"), ("TWO", "whole number")}


def test_the_example_names_only_what_is_read(read):
    assert example() - set(read) == OF_COMPOSE


def test_the_compose_file_sets_only_what_is_read_and_asks_for_every_secret(read):
    services = compose()["services"]
    assert set(services) == {"postgres", "valkey", "migrate", "web", "worker", "beat"}
    for name in ("migrate", "web", "worker", "beat"):
        environment = services[name]["environment"]
        assert set(environment) <= set(read)
        assert "${SECRET_KEY:?" in environment["SECRET_KEY"]
        assert environment["CRM_ENV"] == "production"
    asked = set(re.findall(r"\$\{([A-Z_]+):[?-]", (BASE_DIR / "deploy" / "compose.yaml").read_text()))
    assert asked <= example() | {"CRM_WEB_PORT"}


def test_containers_of_ours_have_no_rights_and_are_healthy_before_others_need_them():
    services = compose()["services"]
    for name in ("migrate", "web", "worker", "beat"):
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
    for name in ("web", "worker", "beat"):
        needs = services[name]["depends_on"]
        assert needs["migrate"]["condition"] == "service_completed_successfully"
        assert needs["valkey"]["condition"] == "service_healthy"
    assert services["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published == ["127.0.0.1:${CRM_WEB_PORT:-8000}:8000"]


def test_the_image_holds_every_application_and_runs_as_no_one_special():
    lines = (BASE_DIR / "deploy" / "Dockerfile").read_text().splitlines()
    assert "COPY . ." in lines
    left_out = (BASE_DIR / ".dockerignore").read_text().splitlines()
    assert not {*FOLDERS, *(f"{folder}/**" for folder in FOLDERS)} & set(left_out)
    assert lines.index("USER crm") < next(
        number for number, line in enumerate(lines) if line.startswith("CMD")
    )
