"""The pictures of docs/images, taken of a running CRM: `python -m backend.development.screenshots`.

It needs what the tests need (requirements-dev.txt) and a Chromium, and signs in as the demo's users.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from playwright.sync_api import Browser, Page, ViewportSize

from backend.env import BASE_DIR
from core.notifications.tests.browsing import chromium

IMAGES = BASE_DIR / "docs" / "images"
SIZE = ViewportSize(width=1440, height=900)
PASSWORD = "password"  # noqa: S105 - the demo's
LIST = "#result_list tr.data-row a"


@dataclass(frozen=True)
class Picture:
    """A page as one user sees it: its address, and the links that are followed from there."""

    name: str
    address: str
    user: str = "admin"
    links: Sequence[str] = ()
    dark: bool = False


PICTURES = (
    Picture("home", "", "manager"),
    Picture("leads", "lead_management/lead/"),
    Picture("lead", "lead_management/lead/?hot=true&o=-5", links=(LIST,)),
    Picture("company", "contacts/company/", links=(LIST,)),
    Picture("board", "opportunities/opportunity/board/"),
    Picture("calendar", "calendar/?who=all"),
    Picture("reports", "core/goal/reports/", "manager", dark=True),
    Picture("workflow", "core/workflow/?q=Welcome", links=(LIST,)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="where the CRM runs (make run)")
    parser.add_argument("names", nargs="*", help="which pictures; all by default")
    asked = parser.parse_args()
    with chromium() as browser:
        for picture in PICTURES:
            if not asked.names or picture.name in asked.names:
                take(browser, asked.url, picture)
        if not asked.names or "import" in asked.names:
            take_wizard(browser, asked.url)


def take(browser: Browser, url: str, picture: Picture) -> None:
    page = signed_in(browser, url, picture.user, dark=picture.dark)
    page.goto(f"/admin/{picture.address}")
    for link in picture.links:
        page.locator(link).first.click()
        page.wait_for_load_state("load")
    keep(page, picture.name)


def take_wizard(browser: Browser, url: str) -> None:
    """The second step of an import, where columns find their fields."""
    page = signed_in(browser, url, "admin")
    page.goto("/admin/core/importjob/new/")
    page.locator("[name=entity]").select_option("lead")
    page.locator("[name=file]").set_input_files(BASE_DIR / "examples" / "leads.csv")
    page.get_by_role("button", name="Look at it").click()
    page.locator(".crm-table").wait_for()
    keep(page, "import")


def signed_in(browser: Browser, url: str, user: str, *, dark: bool = False) -> Page:
    context = browser.new_context(base_url=url, viewport=SIZE, color_scheme="dark" if dark else "light")
    page = context.new_page()
    page.goto("/admin/")
    page.get_by_label("Username").fill(user)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/admin/")
    return page


def keep(page: Page, name: str) -> None:
    page.evaluate("document.fonts.ready")
    page.screenshot(path=IMAGES / f"{name}.png", animations="disabled")
    page.context.close()


if __name__ == "__main__":
    main()
