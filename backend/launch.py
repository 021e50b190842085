"""What every process does before it takes up work."""

from pathlib import Path

from backend.embedded.services import Services, data_folder
from backend.env import Env, load_dotenv

BASE_DIR = Path(__file__).resolve().parent.parent
WEB_POOL_SIZE = "16"


def services() -> Services:
    """The embedded servers of this checkout."""
    load_dotenv(BASE_DIR / ".env")
    env = Env()
    return Services(data_folder(BASE_DIR, env), env)


def ensure_services(tell=lambda sentence: None) -> None:
    """Start the embedded servers, unless the environment names real ones."""
    services().ensure_running(tell)
