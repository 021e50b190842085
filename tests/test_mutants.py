"""The list of guards holds true: each stands where it is said to, and its test exists.

Whether the tests notice is found out by `make mutants`, which takes a test run for each.
"""

import ast

import pytest

from tests.mutants.guards import ROOT, guards

GUARDS = guards()


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_a_guard_stands_once_and_its_test_exists(guard):
    sound = (ROOT / guard.file).read_text()
    broken = guard.broken(sound)
    assert broken != sound
    ast.parse(broken)
    path, _, name = guard.test.partition("::")
    functions = (n for n in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(n, ast.FunctionDef))
    assert name.partition("[")[0] in {function.name for function in functions}


def test_every_guard_has_a_name_of_its_own():
    names = [guard.name for guard in GUARDS]
    assert sorted(set(names)) == sorted(names)
