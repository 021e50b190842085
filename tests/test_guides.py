"""The guides in docs/development are executed: their samples are applied to a copy of the tree, and tested.

A fenced block whose info string says `file=PATH` is a sample:

    ```python file=products/models.py            the whole file
    ```python file=PATH append                   at the end of a file that is there
    ```python file=PATH after="some text"        behind the first line that holds the text
    ```python file=PATH replace="some text"      in place of that line

and ```` ```bash run ```` is a command in the copy. Blocks are applied in the order in which they stand.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from backend.development.lint import offline
from backend.env import BASE_DIR

pytestmark = pytest.mark.timeout(900)
FOLDER = Path("docs/development")
GUIDES = ("entity", "field", "automation", "notifications", "consumer")
BLOCK = re.compile(r"^```(\w+) ([^\n]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LEFT_OUT = (".git", ".venv", ".data", "__pycache__", ".*_cache", ".hypothesis", "staticfiles")


@dataclass(frozen=True)
class Sample:
    """A block of a guide: what stands behind its language, and its text."""

    guide: str
    options: dict[str, str]
    text: str

    @property
    def path(self) -> str:
        return self.options.get("file", "")


def samples(guide: str) -> list[Sample]:
    text = (BASE_DIR / FOLDER / f"{guide}.md").read_text()
    found = []
    for _, info, body in BLOCK.findall(text):
        words = shlex.split(info)
        options = {key: value for key, _, value in (word.partition("=") for word in words)}
        if "file" in options or "run" in options:
            found.append(Sample(guide, options, body))
    return found


def apply(sample: Sample, root: Path) -> None:
    """Carry out one block in the copy at `root`."""
    if "run" in sample.options:
        run(["bash", "-e", "-c", sample.text], root)
        return
    path = root / sample.path
    anchor = sample.options.get("after") or sample.options.get("replace")
    if anchor:
        lines = path.read_text().splitlines(keepends=True)
        [at, *_] = [number for number, line in enumerate(lines) if anchor in line] or [None]
        assert at is not None, f"{sample.guide}.md: no line of {sample.path} holds {anchor!r}"
        lines[at + ("after" in sample.options) : at + 1] = [sample.text]
        path.write_text("".join(lines))
    elif "append" in sample.options:
        path.write_text(path.read_text() + sample.text)
    else:
        assert not path.exists(), f"{sample.guide}.md: {sample.path} is there already"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(sample.text)


def environ(root: Path) -> dict[str, str]:
    """As a developer's shell: nothing of the tests that run here, and no server of theirs."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PYTEST_", "CRM_", "DATABASE", "REDIS", "DJANGO", "SECRET_KEY", "DEBUG"))
    }
    return kept | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(root)}


def run(command: list[str], root: Path, **variables: str) -> str:
    made = subprocess.run(
        command, cwd=root, env=environ(root) | variables, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, f"{' '.join(command)}\n{made.stdout[-6_000:]}\n{made.stderr[-3_000:]}"
    return made.stdout


def test_the_samples_of_all_guides_work_together(tmp_path):
    root = tmp_path / "crm"
    shutil.copytree(BASE_DIR, root, ignore=shutil.ignore_patterns(*LEFT_OUT))
    found = [sample for guide in GUIDES for sample in samples(guide)]
    assert {sample.guide for sample in found} == set(GUIDES)
    for sample in found:
        if "run" in sample.options:
            settings = offline(str(tmp_path / "data"))
            run(["bash", "-e", "-c", sample.text], root, **settings)
        else:
            apply(sample, root)
    run([sys.executable, "-m", "backend.development.layers"], root)
    run([sys.executable, "-m", "ruff", "check", "."], root)
    tests = sorted({s.path for s in found if Path(s.path).name.startswith("test_")})
    assert tests
    output = run([sys.executable, "-m", "pytest", "-q", "-x", *tests], root)
    assert " passed" in output, output
