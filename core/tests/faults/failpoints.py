"""kill -9 right before or right after the Nth commit of a process, without a name in the product's code.

Wherever a process may die and leave something behind, something was committed before: a sweep over every
commit meets every gap of every state machine. `passes` are counted: 2n-1 is before the nth commit, 2n is
after it, when it stands and nobody has been answered, rung for or sent to.

`die_at` says when, in a forked process.
"""

import itertools
import os
import signal
import sys
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

READS = ("SELECT", "SET", "RESET", "SHOW", "DECLARE", "FETCH", "CLOSE")


class Passes:
    """Counts; ends the process at the one it is to die at, or does to it what another signal does."""

    def __init__(self, die_at, number=signal.SIGKILL):
        self.die_at, self.signal, self.numbers, self.last = die_at, number, itertools.count(1), 0

    def pass_(self):
        self.last = next(self.numbers)
        if self.last == self.die_at:
            os.kill(os.getpid(), self.signal)

    def around(self, commit):
        self.pass_()
        result = commit()
        self.pass_()
        return result


def die_at(number, by=signal.SIGKILL):
    """From now on this process dies at this pass, 0 for never; returns what counts them."""
    passes = Passes(number, by)
    commit, execute, many = BaseDatabaseWrapper._commit, CursorWrapper._execute, CursorWrapper._executemany

    def counted(run):
        def statement(self, sql, *params):
            if self.db.in_atomic_block or str(sql).lstrip().upper().startswith(READS):
                return run(self, sql, *params)
            return passes.around(lambda: run(self, sql, *params))

        return statement

    BaseDatabaseWrapper._commit = lambda self: passes.around(lambda: commit(self))
    CursorWrapper._execute, CursorWrapper._executemany = counted(execute), counted(many)
    return passes


@dataclass(frozen=True)
class End:
    """How a process ended: killed at the pass, or having passed so many."""

    killed: bool
    passed: int


class Sleeper:
    """A forked process at `work()` that stops (SIGSTOP) at a pass, and does not know it once it goes on."""

    def __init__(self, work, number):
        self.child = os.fork()
        if not self.child:
            code = 1
            try:
                die_at(number, signal.SIGSTOP)
                work()
                code = 0
            except BaseException:  # noqa: BLE001 (the edge of a process)
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(code)
        _, status = os.waitpid(self.child, os.WUNTRACED)
        self.is_asleep = os.WIFSTOPPED(status)

    def wake(self):
        """Let it go on to its end; its exit code."""
        os.kill(self.child, signal.SIGCONT)
        return os.waitstatus_to_exitcode(os.waitpid(self.child, 0)[1])


def in_child(work, number=0):
    """`work()` in a forked process that dies at this pass. What it raises is shown, and an error here."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            passes = die_at(number)
            work()
            os.write(write, str(passes.last).encode())
            code = 0
        except BaseException:  # noqa: BLE001 (the edge of a process)
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(code)
    os.close(write)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with os.fdopen(read) as said:
        passed = said.read()
    assert status in (0, -signal.SIGKILL), f"the process ended with {status}"
    return End(status != 0, int(passed or number))
