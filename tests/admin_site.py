"""The admin site in a browser, for tests that work in it."""

import re

from core.accounts.tests.conftest import PASSWORD

# And not the page that asks to sign in, whose address ends with where one was going.
HOME = re.compile(r"^[^?]*/admin/$")


def watched_page(browser, site, problems, **options):
    """A page whose script errors, complaints of the console and refused requests are added to `problems`."""

    def answered(response):
        if response.status >= 400:
            problems.append(f"{page.url}: {response.status} {response.url}")

    def logged(message):
        if message.type == "error":
            problems.append(f"{page.url}: {message.text}")

    page = browser.new_context(base_url=site, **options).new_page()
    page.set_default_timeout(15_000)
    page.on("pageerror", lambda error: problems.append(f"{page.url}: {error}"))
    page.on("console", logged)
    page.on("response", answered)
    return page


def sign_in(page, username, password=PASSWORD):
    page.goto("/admin/")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(HOME)
