"""A real Chromium for tests: playwright's own, one that the system has, or one installed on the spot.

axe looks for what keeps people from using a page.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import pytest
from playwright.sync_api import Browser, Error, Page, Playwright, sync_playwright

from backend.env import BASE_DIR

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
INSTALL = [sys.executable, "-m", "playwright", "install", "chromium-headless-shell"]
INSTALL_S = 60
AXE = BASE_DIR / "clients" / "node_modules" / "axe-core" / "axe.min.js"
RUN_AXE = """rules => axe.run(document, {resultTypes: ["violations"], ...(rules && {runOnly: rules})})
    .then(found => found.violations.filter(one => ["serious", "critical"].includes(one.impact))
    .map(one => `${one.id}: ${one.nodes.map(node => node.html.slice(0, 120)).join(" | ")}`))"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser; without one, and where none can be had, the test does not run and says so."""
    with sync_playwright() as playwright:
        browser = _launched(playwright)
        yield browser
        browser.close()


def accessibility_faults(page: Page, rules: list[str] | None = None) -> list[str]:
    """What axe calls serious or critical in the page as it is, by all of its rules or by some."""
    if not AXE.is_file():
        assert not os.environ.get("CI"), "`npm ci --prefix clients` brings axe-core"
        return []
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())
    return page.evaluate(RUN_AXE, rules)


def _launched(playwright: Playwright) -> Browser:
    system = next(filter(None, map(shutil.which, NAMES)), None)
    try:
        return playwright.chromium.launch()
    except Error:
        if system:
            # Root has no sandbox of Chromium's; what it shows here is our own.
            return playwright.chromium.launch(executable_path=system, args=["--no-sandbox"])
    problem = _installed()
    if problem:
        pytest.skip(problem)
    return playwright.chromium.launch()


@cache
def _installed() -> str:
    """Install one; why that was not possible, else "". Tried once per process."""
    try:
        subprocess.run(INSTALL, check=True, capture_output=True, timeout=INSTALL_S)
    except (subprocess.SubprocessError, OSError) as error:
        return f"no Chromium here, and none could be installed: {error}"
    return ""
