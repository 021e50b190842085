"""Starting, finding and ending server processes."""

import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from backend.development.embedded.placement import Identity
from backend.env import ConfigurationError

PR_SET_PDEATHSIG = 1
POLL_SECONDS = 0.02
LOG_TAIL_LINES = 15

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def leash(end_signal: int) -> Callable[[], None] | None:
    """For `preexec_fn`: the kernel sends the signal to the child when its parent dies, even by SIGKILL.

    None where the system cannot do that.
    """
    if _libc is None:
        return None
    prctl = _libc.prctl  # looked up before the fork
    return lambda: prctl(PR_SET_PDEATHSIG, end_signal, 0, 0, 0)


def start(
    command: list[str], log: Path, identity: Identity, given: bytes = b"", end_signal: int | None = None
) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own, output appended to the log, `given` on its standard input.

    With `end_signal` the server ends with us; without, it outlives us.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603  the command is ours
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            cwd="/",
            start_new_session=True,
            preexec_fn=leash(end_signal) if end_signal is not None else None,
            **identity.switch,
        )
    assert process.stdin is not None  # noqa: S101  asked for above
    process.stdin.write(given)
    process.stdin.close()
    return process


def await_ready(
    process: subprocess.Popen[bytes], is_ready: Callable[[], bool], name: str, log: Path, seconds: float
) -> None:
    """Return once the server answers.

    Raises ConfigurationError with the end of its log when it ends instead, or does not answer in time.
    """
    deadline = time.monotonic() + seconds
    while not is_ready():
        if process.poll() is not None:
            raise ConfigurationError(f"{name} ended while starting. The end of {log}:\n{tail(log)}")
        if time.monotonic() > deadline:
            raise ConfigurationError(
                f"{name} did not answer within {seconds:.0f} s. The end of {log}:\n{tail(log)}"
            )
        time.sleep(POLL_SECONDS)


def command_line(pid: int) -> list[str]:
    """The arguments of a running process; empty when there is none (a zombie is none)."""
    try:
        return psutil.Process(pid).cmdline()
    except psutil.Error:
        return []


def stop(pid: int, end_signal: signal.Signals, seconds: float) -> None:
    """Send the signal and wait for the end; SIGKILL when that takes too long."""
    try:
        process = psutil.Process(pid)
        process.send_signal(end_signal)
        process.wait(seconds)
    except psutil.NoSuchProcess:
        return
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(seconds)


def tail(log: Path) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]) if log.exists() else ""


def pid_in(path: Path) -> int | None:
    """The process id on the first line of a pid file, or None."""
    try:
        return int(path.read_text().split()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None
