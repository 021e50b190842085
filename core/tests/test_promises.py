"""The documents name a test for each promise: each named test is there."""

import ast
import re

import pytest

from backend.env import BASE_DIR

NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


def defined(path):
    tree = ast.parse(path.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(
    ("document", "promises"),
    [
        ("automation.md", [*(f"W{n}" for n in range(1, 21)), "F1"]),
        ("webhooks.md", [f"H{n}" for n in range(1, 16)]),
        ("security.md", [f"S{n}" for n in range(1, 29)]),
        ("reliability.md", [*(f"A{n}" for n in range(1, 17)), *(f"F{n}" for n in range(1, 17))]),
    ],
)
def test_every_promise_names_tests_that_are_there(document, promises):
    text = (BASE_DIR / "docs" / document).read_text()
    rows = re.findall(r"^\| ([WHSAF]\d+) .*$", text, flags=re.M)
    assert rows == promises
    for row in re.findall(r"^\| [WHSAF]\d+ .*$", text, flags=re.M):
        named = NAMED.findall(row)
        # What is not kept says so, and why, in place of its tests.
        assert bool(named) != bool(re.search(r"\| not kept.*: .+ \| none \|$", row)), row
        for path, name in named:
            assert name in defined(BASE_DIR / path), (path, name)
