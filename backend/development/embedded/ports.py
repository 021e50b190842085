"""TCP ports on 127.0.0.1: free ones, and the sentence for a busy one."""

import random
import socket
import time

from backend.env import ConfigurationError

LOOPBACK = "127.0.0.1"
LOWEST = 20_000
LOWEST_OUTGOING = 32_768  # Linux: net.ipv4.ip_local_port_range
TRIES = 100
GRACE_SECONDS = 2  # for the processes of a stack that was killed a moment ago to let go of theirs


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def any_free() -> int:
    """A free port below those of outgoing connections, so that none of them takes it meanwhile."""
    wished = (random.randrange(LOWEST, LOWEST_OUTGOING) for _ in range(TRIES))  # noqa: S311  no secret
    return next(filter(is_free, wished), 0) or _any_outgoing()


def _any_outgoing() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]


def require_free(port: int, wanted_by: str, variable: str, host: str = LOOPBACK) -> None:
    """Raise ConfigurationError naming the port, what wanted it and the variable that changes it."""
    if not _becomes_free(port, host):
        raise ConfigurationError(
            f"Port {port} on {host} is in use by another program, so {wanted_by} cannot start there:"
            f" stop that program, or choose another port with {variable}=<port>."
        )


def _becomes_free(port: int, host: str) -> bool:
    deadline = time.monotonic() + GRACE_SECONDS
    while not is_free(port, host):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
