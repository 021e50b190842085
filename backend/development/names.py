"""Words that this project no longer uses in names, and what it says instead.

`make lint` refuses these words, and pairs of words, as parts of identifiers, of module names and of test
names: one word means one thing, and it is the word that Django, DRF, Celery, PostgreSQL or the CRM field has
for it. docs/glossary.md defines the few terms that are ours.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from backend.env import BASE_DIR
from backend.local_apps import LOCAL_APPS

RETIRED = {
    "acting_as": "audit context",
    "doorbell": "enqueue on commit",
    "doors": "endpoints",
    "drifting": "drift check",
    "foretell": "predict",
    "foretold": "predicted",
    "gathered": "coalesce",
    "guarding": "CSV injection",
    "heir": "default",
    "let_go": "release",
    "hopeless": "missing fields",
    "obey": "handle",
    "papers": "model card",
    "retelling": "comment edits",
    "ring": "enqueue",
    "rings": "enqueue",
    "ruling": "rule store",
    "rung": "enqueued",
    "speaker": "principal",
    "speaks": "principal",
    "tell": "notify",
    "telling": "notify",
    "tells": "notify",
    "told": "notified",
    "trial": "preview or dry run",
    "trials": "previews or dry runs",
    "unguard": "unescape",
    "unmakeable": "creation warnings",
    "walking": "cursor pagination",
    "walks": "cursor pagination",
    "whole_parameter": "int param",
    "who_speaks": "authenticate",
    "wish": "options or preferences",
    "wishes": "options or preferences",
}
# Attributes of views that would have no effect any more.
RETIRED_OF_VIEWS = {"access": "action_permissions", "taking": "allowed_query_params"}
ELSEWHERE = ("benchmarks", "tests")
WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def words_of(name: str) -> list[str]:
    """The words of an identifier in any case: `tell_each`, `TellEach` and `TELL_EACH` alike."""
    return [word.lower() for word in WORDS.findall(name)]


def names_in(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every identifier that a module defines, with its line; uses of a name are found where it is defined."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr
        elif isinstance(node, ast.alias) and node.asname:
            yield node.lineno, node.asname


def attributes_of_views(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The names that bodies of view classes assign, with their lines."""
    for view in ast.walk(tree):
        if not isinstance(view, ast.ClassDef) or not view.name.endswith(("View", "ViewSet")):
            continue
        for node in view.body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            yield from ((node.lineno, target.id) for target in targets if isinstance(target, ast.Name))


def retired_names(path: Path) -> Iterator[str]:
    """One line for each name that holds a retired word."""
    tree = ast.parse(path.read_text())
    for line, name in attributes_of_views(tree):
        if name in RETIRED_OF_VIEWS:
            yield f"{path.relative_to(BASE_DIR)}:{line} {name}: say {RETIRED_OF_VIEWS[name]!r}"
    named = [(1, path.stem), *names_in(tree)]
    for line, name in named:
        words = "_".join(["", *words_of(name), ""])
        for word in RETIRED:
            if f"_{word}_" in words:
                yield f"{path.relative_to(BASE_DIR)}:{line} {name}: not {word!r}, say {RETIRED[word]!r}"


def modules() -> Iterator[Path]:
    """All modules of ours; migrations keep the names they were made with."""
    for folder in (*LOCAL_APPS, *ELSEWHERE):
        for path in sorted((BASE_DIR / folder).rglob("*.py")):
            if "migrations" not in path.parts and "contract" not in path.parts:
                yield path


def main() -> int:
    found = [line for path in modules() for line in retired_names(path)]
    print("\n".join(found) if found else "no retired names")  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
