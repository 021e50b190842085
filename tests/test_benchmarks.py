"""Benchmarks are run by hand: here they are held to what they import."""

from importlib import import_module

import pytest

from tests.live import ROOT

# Django settings of their own, and what a server of its own imports.
LEFT_OUT = {"__init__", "plain_settings", "plain", "floor"}
MODULES = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py") if path.stem not in LEFT_OUT)


@pytest.mark.parametrize("name", MODULES)
def test_a_benchmark_can_be_imported(name):
    assert import_module(f"benchmarks.{name}").__doc__
