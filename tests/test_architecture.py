"""The shape of the code: short functions and modules, and a core that names no entity.

Lengths are signs that somebody should look, not goals: where a longer piece reads better, raise them.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from statistics import median, quantiles

from django.apps import apps
from django.conf import settings
from factory.django import DjangoModelFactory

from backend.local_apps import LOCAL_APPS
from core.entities import entities
from tests.entity_api import EntityAPITests

FUNCTION_MEDIAN, FUNCTION_P90, FUNCTION_MAX = 8, 30, 60
MODULE_MAX = 500
# The rules that leads are scored by before there is a model.
NAMING = {
    "core/lead_scoring/default_entity.py",
    "core/lead_scoring/default_rules.py",
}


@dataclass(frozen=True)
class Module:
    path: str
    text: str

    @property
    def lines(self) -> int:
        return self.text.count("\n")

    def nodes(self, *kinds: type[ast.AST]) -> Iterator[ast.AST]:
        return (node for node in ast.walk(parsed(self.text)) if isinstance(node, kinds))


@cache
def parsed(text: str) -> ast.Module:
    return ast.parse(text)


@cache
def modules() -> list[Module]:
    """What runs: all modules of the apps but tests and migrations."""
    base = Path(settings.BASE_DIR)
    found = [path.relative_to(base) for app in LOCAL_APPS for path in (base / app).rglob("*.py")]
    kept = [path for path in found if not {"tests", "migrations", "conftest.py"} & set(path.parts)]
    return [Module(str(path), (base / path).read_text()) for path in sorted(kept)]


def sizes(*kinds: type[ast.AST]) -> dict[str, int]:
    """Lines of each definition, the longest first."""
    found = {
        f"{module.path}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
        for module in modules()
        for node in module.nodes(*kinds)
    }
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def longest(found: dict[str, int], limit: int = 10) -> str:
    return "\n".join(f"{lines:5} {name}" for name, lines in list(found.items())[:limit])


def test_functions_are_short():
    found = sizes(ast.FunctionDef, ast.AsyncFunctionDef)
    lines = list(found.values())
    middle, p90 = median(lines), quantiles(lines, n=10)[-1]
    summary = f"{len(lines)} functions: median {middle}, p90 {p90}, longest\n{longest(found)}"
    assert len(lines) > 1_000, summary
    assert middle <= FUNCTION_MEDIAN, summary
    assert p90 <= FUNCTION_P90, summary
    assert lines[0] <= FUNCTION_MAX, summary


def test_modules_are_small():
    found = dict(sorted(((m.path, m.lines) for m in modules()), key=lambda item: -item[1]))
    assert len(found) > 200, found
    assert max(found.values()) <= MODULE_MAX, longest(found)


def test_no_check_of_types_is_off_for_a_package():
    overrides = tomllib.loads(Path(settings.BASE_DIR, "pyproject.toml").read_text())["tool"]["mypy"][
        "overrides"
    ]
    checked = [
        one for one in overrides if not one.get("ignore_errors") and "ignore_missing_imports" not in one
    ]
    assert checked == []
    ours = [name for one in overrides for name in one["module"] if name.split(".")[0] in LOCAL_APPS]
    assert ours == []


# The same thing for another library, or the same choices of two entities.
ONE_NAME_TWICE = {"Command", "DatabaseWrapper", "Priority"}


def test_the_name_of_a_class_means_one_thing():
    places: dict[str, list[str]] = {}
    for module in modules():
        for node in parsed(module.text).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(module.path)
    twice = {name: paths for name, paths in places.items() if len(paths) > 1 and name not in ONE_NAME_TWICE}
    assert twice == {}


def names_of_entities() -> re.Pattern[str]:
    """A text that is an entity's name, or begins with the label or a table of an app above core."""
    exact = {entity.name for entity in entities}
    above = {entity.model._meta.app_label for entity in entities}
    tables = {model._meta.db_table for label in above for model in apps.get_app_config(label).get_models()}
    started = "|".join([*(f"{label}\\." for label in above), *tables])
    return re.compile(rf"(?:{'|'.join(exact)})$|(?:{started})")


def speaking(module: Module) -> list[str]:
    pattern = names_of_entities()
    texts = (node for node in module.nodes(ast.Constant) if isinstance(node.value, str))
    return [f"{module.path}:{node.lineno} {node.value!r}" for node in texts if pattern.match(node.value)]


def test_core_names_no_entity():
    inside = [module for module in modules() if module.path.startswith("core/")]
    found = {module.path: lines for module in inside if (lines := speaking(module))}
    assert set(found) == NAMING, "\n".join(line for lines in found.values() for line in lines)


# Tests that create records of a model with a factory by the model itself, each for its reason.
CREATING = {
    "core/changes/tests/test_capture.py": "what a creation through the ORM is recorded as",
    "core/workflows/tests/test_engine.py": "the ORM is one of the ways to a record that start runs",
}


def modules_of_tests() -> list[Module]:
    base = Path(settings.BASE_DIR)
    found = [
        path.relative_to(base) for folder in (*LOCAL_APPS, "tests") for path in (base / folder).rglob("*.py")
    ]
    kept = [path for path in [*found, Path("conftest.py")] if {"tests", "conftest.py"} & set(path.parts)]
    return [Module(str(path), (base / path).read_text()) for path in sorted(kept)]


def models_with_a_factory() -> set[str]:
    """Names of the models that the modules called `factories` make."""
    found = set()
    for module in modules_of_tests():
        if module.path.endswith("/factories.py"):
            made = vars(import_module(module.path.removesuffix(".py").replace("/", "."))).values()
            kinds = [kind for kind in made if isinstance(kind, type) and issubclass(kind, DjangoModelFactory)]
            found |= {kind._meta.model.__name__ for kind in kinds if kind._meta.model is not None}
    return found


def creations(module: Module, models: set[str]) -> list[str]:
    """Where the module says `Model.objects.create(…)` of one of the models."""
    found = []
    for node in module.nodes(ast.Call):
        called = ast.unparse(node.func)
        if (name := called.removesuffix(".create").removesuffix(".create_user")) != called:
            model = name.removesuffix(".objects").rpartition(".")[2]
            if name.endswith(".objects") and model in models:
                found.append(f"{module.path}:{node.lineno} {called}")
    return found


def test_tests_make_records_by_factories():
    models = models_with_a_factory()
    assert models >= {"User", "Team", "Lead", "Contact", "Company", "Opportunity", "Task", "CustomField"}
    found = {module.path: creations(module, models) for module in modules_of_tests()}
    summary = "\n".join(line for path, lines in found.items() if path not in CREATING for line in lines)
    assert {path for path, lines in found.items() if lines} == set(CREATING), summary


def test_every_entity_is_held_to_the_suite_of_all():
    texts = (module for module in modules_of_tests() if "(EntityAPITests)" in module.text)
    found = [vars(import_module(m.path.removesuffix(".py").replace("/", "."))).values() for m in texts]
    suites = [kind for made in found for kind in made if isinstance(kind, type)]
    held = {kind.entity for kind in suites if issubclass(kind, EntityAPITests) and kind is not EntityAPITests}
    assert held == {entity.name for entity in entities}
