"""What a machine with servers of its own starts from: for `make run`, and commands in a second terminal."""

import os
from collections.abc import MutableMapping
from dataclasses import dataclass

from backend.checks import is_loopback
from backend.development.embedded import ports
from backend.development.embedded.services import services_of_checkout
from backend.env import Env


@dataclass(frozen=True)
class WebAddress:
    """Where the web server listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """What to type into a browser on this machine."""
        return f"http://{'127.0.0.1' if self.host == '0.0.0.0' else self.host}:{self.port}"  # noqa: S104


def web_address(env: Env) -> WebAddress:
    """CRM_WEB_HOST and CRM_WEB_PORT (or PORT); 127.0.0.1:8000 by default."""
    port = env.integer("CRM_WEB_PORT", env.integer("PORT", 8000, 1, 65535), 1, 65535)
    return WebAddress(env.text("CRM_WEB_HOST", ports.LOOPBACK), port)


def development_defaults(environ: MutableMapping[str, str], web: WebAddress) -> None:
    """A stack that only this machine reaches is a development one, unless the environment says otherwise."""
    environ.setdefault("CRM_ENV", "development")
    if environ["CRM_ENV"] == "development" and is_loopback(web.host):
        environ.setdefault("DEBUG", "1")
    environ.setdefault("CRM_WEB_PORT", str(web.port))
    environ.setdefault("PYTHONUNBUFFERED", "1")
    environ.setdefault("PYTHONWARNINGS", "ignore:You're running the worker with superuser privileges")


def command_defaults(environ: MutableMapping[str, str] = os.environ) -> None:
    """A command where the servers are embedded ones finds what `make run` does: `make seed` and a shell in a
    second terminal work on the same terms. A database of one's own, or CRM_ENV, means business."""
    env = services_of_checkout().env  # reads .env first
    if not env.is_set("DATABASE_URL") and not env.is_set("CRM_ENV"):
        development_defaults(environ, web_address(env))
