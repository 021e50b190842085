"""`python -m tests.mutants [--only WORD] [--turn 1/3]`: break each guard in a copy of the tree, one after
the other, and see its test fail. Prints a table; ends with 1 where a guard can be removed unnoticed.

The servers are started once for all; each guard costs one run of one test.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from backend.testing.servers import run_folder, running_valkey
from tests.mutants.guards import ROOT, Guard, guards

TIME_OUT_S = 300
FAILED = 1  # pytest's exit status for tests that failed; others are errors of ours


def main() -> int:
    wanted = _wanted()
    with tempfile.TemporaryDirectory(prefix="crm-mutants-") as folder, run_folder() as servers:
        tree = _copy(Path(folder) / "tree")
        with running_valkey(servers) as valkey:
            environment = os.environ | {
                "CRM_TEST_FOLDER": str(servers),
                "CRM_TEST_REDIS_URL": valkey.url,
                # As a process of xdist, which finds the servers started.
                "PYTEST_XDIST_WORKER": "gw0",
            }
            if _run(tree, environment, sorted({guard.test for guard in wanted})) != 0:
                sys.stdout.write("The tests are not green as it is: mend them first.\n")
                return 1
            survived = [guard for guard in wanted if not _is_killed(guard, tree, environment)]
    noticed = len(wanted) - len(survived)
    sys.stdout.write(f"{noticed} of {len(wanted)} guards are missed when they are gone.\n")
    return 1 if survived else 0


def _wanted() -> list[Guard]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="guards with this in their name, file or test")
    parser.add_argument("--turn", default="1/1", help="the n-th of m parts, such as 2/3")
    given = parser.parse_args()
    part, of = (int(number) for number in given.turn.split("/"))
    found = [g for g in guards() if given.only in f"{g.name} {g.file} {g.test}"]
    return found[part - 1 :: of]


def _copy(target: Path) -> Path:
    """The tracked files, and new ones that are not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    # The migrated database, which was made for the tree as it is.
    (target / ".data").mkdir(exist_ok=True)
    (target / ".data" / "test-template").symlink_to(ROOT / ".data" / "test-template")
    return target


def _is_killed(guard: Guard, tree: Path, environment: dict[str, str]) -> bool:
    path, began = tree / guard.file, time.monotonic()
    sound = path.read_text()
    path.write_text(guard.broken(sound))
    try:
        status = _run(tree, environment, [guard.test])
    finally:
        path.write_text(sound)
    word = {FAILED: "noticed", 0: "SURVIVED"}.get(status, f"ERROR {status}")
    sys.stdout.write(f"{word:<10} {time.monotonic() - began:5.1f} s  {guard.name}\n")
    sys.stdout.flush()
    return status == FAILED


def _run(tree: Path, environment: dict[str, str], tests: Sequence[str]) -> int:
    options = ["-q", "-x", "--no-header", "-p", "no:cacheprovider"]
    command = [sys.executable, "-B", "-m", "pytest", *options, *tests]
    output = subprocess.DEVNULL if "MUTANTS_VERBOSE" not in os.environ else None
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment, timeout=TIME_OUT_S * len(tests), stdout=output, stderr=output
        )
    except subprocess.TimeoutExpired:
        return FAILED  # what no longer ends is noticed as well
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
