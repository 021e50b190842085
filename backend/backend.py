"""Lets `celery -A backend …` be called from inside this folder too: there Python finds this module under the
name of the package, and this module puts the package into its own place."""

import importlib
import sys
from pathlib import Path

if __name__ == "backend":
    here = Path(__file__).resolve().parent
    # Without this folder itself, whose modules (celery, schedule) would hide libraries of the same names.
    sys.path[:] = [str(here.parent), *(entry for entry in sys.path if Path(entry or ".").resolve() != here)]
    del sys.modules["backend"]
    sys.modules["backend"] = importlib.import_module("backend")
