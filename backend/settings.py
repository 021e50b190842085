"""Django settings, read from the environment (see docs/configuration.md)."""

from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
