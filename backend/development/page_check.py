"""Every page of the admin site of a running CRM, looked at in a browser: `make axe`.

It follows the links from the side bar as each of the demo's users, opens one page of each kind (addresses
that differ in numbers alone are of one kind), and says where axe finds something serious or critical, a
script fails, a request is refused, or a page is wider than a phone. It needs what the tests need
(requirements-dev.txt).
"""

import argparse
import re
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Response, ViewportSize

from core.notifications.tests.browsing import accessibility_faults, chromium

USERS = ("admin", "manager", "rep", "viewer")
PASSWORD = "password"  # noqa: S105 - the demo's
DESKTOP, PHONE = ViewportSize(width=1440, height=900), ViewportSize(width=390, height=844)
# Files are no pages.
NO_PAGES = re.compile(r"/(logout|jsi18n|download|error-file|i18n|media|static)|\.(csv|xlsx|jsonl|ics)$")
LINKS = """() => [...document.querySelectorAll("a[href]")].filter(link => !link.closest(".crm-timeline"))
    .map(link => link.href)"""


@dataclass
class Crawl:
    """The pages of one user: those to open, the kinds that were, and what was wrong."""

    site: str
    user: str
    todo: deque[str] = field(default_factory=lambda: deque(["/admin/"]))
    kinds: set[str] = field(default_factory=lambda: {"/admin/"})
    faults: list[str] = field(default_factory=list)

    def add(self, links: list[str]) -> None:
        """Links to pages of kinds that were not looked at yet."""
        for link in links:
            there = urlsplit(link)
            kind = kind_of(there.path)
            of_site = f"{there.scheme}://{there.netloc}" == self.site and there.path.startswith("/admin/")
            if of_site and kind not in self.kinds and not NO_PAGES.search(there.path):
                self.kinds.add(kind)
                self.todo.append(there.path + (f"?{there.query}" if there.query else ""))

    def wrong(self, where: str, what: str) -> None:
        self.faults.append(f"{self.user} {where}: {what}")


def kind_of(path: str) -> str:
    """The address without what differs between records of a kind."""
    return re.sub(r"/(\d+|[0-9a-f-]{32,})(?=/)", "/1", path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="where the CRM runs (make run)")
    parser.add_argument("--quick", action="store_true", help="in one theme and size each only")
    parser.add_argument("users", nargs="*", help="as whom; all by default")
    asked = parser.parse_args()
    faults: list[str] = []
    with chromium() as browser:
        for user in asked.users or USERS:
            crawl = Crawl(asked.url.rstrip("/"), user)
            started = time.monotonic()
            for fault in crawled(browser, crawl, quick=asked.quick):
                say(fault)
            faults += crawl.faults
            say(f"{user}: {len(crawl.kinds)} kinds of pages, {time.monotonic() - started:.0f} s")
    sys.exit(bool(faults))


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def crawled(browser: Browser, crawl: Crawl, *, quick: bool = False) -> Iterator[str]:
    """Every fault of the pages of one user, as they are found."""
    page = signed_in(browser, crawl)
    while crawl.todo:
        address = crawl.todo.popleft()
        before = len(crawl.faults)
        look_at(page, crawl, address, quick=quick)
        yield from crawl.faults[before:]
    page.context.close()


def signed_in(browser: Browser, crawl: Crawl) -> Page:
    page = browser.new_context(base_url=crawl.site, viewport=DESKTOP).new_page()
    page.goto("/admin/")
    page.get_by_label("Username").fill(crawl.user)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/admin/")

    def logged(message: ConsoleMessage) -> None:
        if message.type == "error":
            crawl.wrong(page.url, message.text)

    def answered(answer: Response) -> None:
        if answer.status >= 400:
            crawl.wrong(page.url, f"{answer.status} {answer.url}")

    page.on("pageerror", lambda error: crawl.wrong(page.url, str(error)))
    page.on("console", logged)
    page.on("response", answered)
    return page


def look_at(page: Page, crawl: Crawl, address: str, *, quick: bool) -> None:
    """One page in both themes and widths."""
    page.set_viewport_size(DESKTOP)
    try:
        page.goto(address)
    except Error as error:
        if "Download is starting" not in str(error):
            crawl.wrong(address, str(error))
        return
    page.wait_for_load_state("load")
    crawl.add(page.evaluate(LINKS))
    for dark, size in ((False, DESKTOP), (True, DESKTOP), (True, PHONE), (False, PHONE)):
        if quick and dark != (size is PHONE):
            continue
        how = f"{address} {'dark' if dark else 'light'} {size['width']}"
        page.set_viewport_size(size)
        page.evaluate("dark => document.documentElement.classList.toggle('dark', dark)", dark)
        page.wait_for_timeout(250)  # what fades has faded
        for fault in accessibility_faults(page):
            crawl.wrong(how, fault)
        if size is PHONE and page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            crawl.wrong(how, f"wider than {size['width']}: {page.evaluate(WIDEST)}")


# What reaches beyond the page, the outermost elements first.
WIDEST = """() => [...document.body.querySelectorAll("*")]
    .filter(one => one.getBoundingClientRect().right > innerWidth + 1)
    .slice(0, 3).map(one => one.outerHTML.slice(0, 100)).join(" | ")"""


if __name__ == "__main__":
    main()
