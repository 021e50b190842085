"""The documents name a test for each promise: each named test is there."""

import ast
import re

import pytest

from backend.env import BASE_DIR

NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


def defined(path):
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(
    ("document", "promises"),
    [
        ("automation.md", [*(f"W{n}" for n in range(1, 21)), "F1"]),
        ("webhooks.md", [f"H{n}" for n in range(1, 16)]),
    ],
)
def test_every_promise_names_tests_that_are_there(document, promises):
    text = (BASE_DIR / "docs" / document).read_text()
    rows = re.findall(r"^\| ([WHF]\d+) .*$", text, flags=re.M)
    assert rows == promises
    for row in re.findall(r"^\| [WHF]\d+ .*$", text, flags=re.M):
        named = NAMED.findall(row)
        assert named, row
        for path, name in named:
            assert name in defined(BASE_DIR / path), (path, name)
