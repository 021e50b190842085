import os
import subprocess
import sys

import pytest

from backend.development.embedded import placement
from backend.development.embedded.leftovers import leftovers
from backend.development.embedded.services import Services
from backend.env import Env
from backend.testing.stacks import bare_environ


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """Where folders outside checkouts are made in this test."""
    place = tmp_path / "var"
    place.mkdir()
    monkeypatch.setattr(placement, "OUTSIDE_FOLDERS", (place,))
    return place


def made(checkout):
    """The folder outside of a checkout, with a database of sorts."""
    checkout.mkdir(parents=True)
    found = placement.outside_folder(checkout)
    (found / "postgres").mkdir()
    (found / "postgres" / "PG_VERSION").write_text("18")
    return found


def test_only_the_folder_whose_checkout_is_gone_is_left_behind(tmp_path, outside):
    kept, gone = made(tmp_path / "kept"), made(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    [found] = leftovers((outside,))
    assert (found.path, found.made_for) == (gone, tmp_path / "gone")
    found.remove()
    assert list(outside.iterdir()) == [kept]
    assert leftovers((outside,)) == []


def test_what_cannot_be_recognised_is_never_touched(tmp_path, outside):
    unmarked, moved = made(tmp_path / "unmarked"), made(tmp_path / "moved")
    (unmarked / placement.MADE_FOR).unlink()
    (moved / placement.MADE_FOR).write_text(str(tmp_path / "another"))
    (tmp_path / "unmarked").rmdir()
    (tmp_path / "moved").rmdir()
    linked = made(tmp_path / "linked")
    linked.rename(tmp_path / "elsewhere")
    linked.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "linked").rmdir()
    (outside / "crm-report").mkdir()
    assert leftovers((outside,)) == []


def test_what_a_process_runs_in_is_not_left_behind(tmp_path, outside):
    folder = made(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    command = [sys.executable, "-c", "input()", str(folder / "postgres" / "cluster")]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as reported:
        assert leftovers((outside,)) == []
        reported.communicate(b"\n")
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=folder) as works_there:
        assert leftovers((outside,)) == []
        works_there.communicate(b"\n")
    assert len(leftovers((outside,))) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone runs servers elsewhere")
def test_servers_that_run_are_in_use_and_are_left_behind_once_killed(tmp_path):
    tmp_path.chmod(0o700)
    data = tmp_path.resolve() / "data"
    found = Services(data, Env({"REDIS_URL": "redis://cache"}))
    found.ensure_running()
    home = (data / "postgres").readlink().parent
    hidden = data.rename(tmp_path / "hidden")
    try:
        assert home not in [one.path for one in leftovers()]
    finally:
        hidden.rename(data)
        found.stop()
    hidden = data.rename(tmp_path / "hidden")
    [left] = [one for one in leftovers() if one.path == home]
    assert left.made_for == data
    left.remove()
    assert not home.exists()


def test_the_command_lists_and_says_what_would_delete_it(tmp_path):
    command = [sys.executable, "manage.py", "services", "tidy"]
    reported = subprocess.run(command, env=bare_environ(tmp_path / "data"), capture_output=True, text=True)
    assert reported.returncode == 0, reported.stderr
    last = reported.stdout.splitlines()[-1]
    assert last in ("Nothing is left behind.", "With --yes they are deleted, and the databases in them.")
