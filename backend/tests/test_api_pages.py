"""Swagger UI and ReDoc in a real browser, under the policy of pages, and what axe finds in them."""

import json
import re

import pytest
import yaml

from backend.routing import make_application
from backend.testing.web import serving
from core.notifications.tests.browsing import accessibility_faults, chromium
from tests.document import DOCUMENT

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
# The pages are made of the same parts for few operations, and there are hundreds: these have every method, a
# form with a file, a body of any kind, answers without content, nested lists and dictionaries.
SHOWN = (
    "/api/auth/login/",
    "/api/v1/hooks/{key}/",
    "/api/v1/import/{resource_type}/",
    "/api/v1/lost_reasons/{id}/",
    "/api/v1/merges/{id}/",
    "/api/v1/search/",
)
OPEN_SWAGGER = """async () => {
    const click = async (what) => {
        document.querySelectorAll(what).forEach((one) => one.click());
        await new Promise((done) => setTimeout(done, 500));
    };
    await click(".opblock:not(.is-open) .opblock-summary-control");
    await click(".try-out__btn:not(.cancel)");
    await click(".opblock:nth-of-type(odd) .tabitem:not(.active) [role=tab]");
    await click("section.models:not(.is-open) .models-control");
    await click(".json-schema-2020-12-accordion[aria-expanded=false]");
    return document.querySelectorAll(".opblock.is-open").length;
}"""
OPEN_REDOC = """async () => {
    for (const one of document.querySelectorAll(".api-content button:not([role=tab])")) one.click();
    await new Promise((done) => setTimeout(done, 1000));
}"""
REFERENCE = re.compile(r"#/components/(\w+)/([\w-]+)")


@pytest.fixture(autouse=True)
def queries_beside_a_loop(monkeypatch):
    """Playwright's own event loop runs in this thread, which Django takes for a view's."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")


@pytest.fixture(scope="module")
def small():
    """The document with a few of its operations."""
    document = yaml.load(DOCUMENT.read_text(), Loader=yaml.CSafeLoader)
    document["paths"] = {path: document["paths"][path] for path in SHOWN}
    used = {tag for methods in document["paths"].values() for one in methods.values() for tag in one["tags"]}
    document["tags"] = [tag for tag in document["tags"] if tag["name"] in used]
    kept, document["components"] = document["components"], {}
    missing = REFERENCE.findall(json.dumps(document))
    while missing:
        kind, name = missing.pop()
        part = document["components"].setdefault(kind, {})
        if name not in part:
            part[name] = kept[kind][name]
            missing += REFERENCE.findall(json.dumps(part[name]))
    return document | {"components": document["components"] | {"securitySchemes": kept["securitySchemes"]}}


@pytest.fixture
def site(transactional_db):
    with serving(make_application()) as address:
        yield f"http://{address}"


@pytest.fixture
def browser(site):
    """Closed before the server ends and the tables are emptied: its loop makes connections of its own."""
    with chromium() as found:
        yield found


@pytest.fixture
def opened(site, browser, small, queries_beside_a_loop):
    """Open a page; what its console complains of is in the list beside it."""
    contexts, problems = [], []

    def open_page(path):
        contexts.append(browser.new_context(base_url=site))
        page = contexts[-1].new_page()
        page.on("console", lambda one: problems.append(one.text) if one.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.route("**/api/schema*", lambda route: route.fulfill(json=small))
        page.goto(path)
        return page

    yield open_page, problems
    for context in contexts:
        context.close()


def test_swagger_ui_shows_operations_with_all_that_unfolds_and_no_error(opened, small):
    open_page, problems = opened
    page = open_page("/api/docs/")
    page.set_viewport_size({"width": 1280, "height": 20_000})  # it draws what is in view
    page.locator("#operations-auth-auth_login .opblock-summary-control").wait_for()
    assert page.evaluate(OPEN_SWAGGER) == sum(len(methods) for methods in small["paths"].values())
    page.get_by_text("Sign in with a user name or e-mail address and a password").first.wait_for()
    page.get_by_text("Bearer").first.wait_for()
    assert page.locator("html").get_attribute("lang") == "en"
    assert (accessibility_faults(page), problems) == ([], [])


def test_redoc_shows_operations_with_all_that_unfolds_and_no_error(opened):
    open_page, problems = opened
    page = open_page("/api/redoc/")
    page.locator(".api-content").get_by_text("Search the records of all entities").first.wait_for()
    page.get_by_text("One analytical engine").first.wait_for(state="attached")
    page.evaluate(OPEN_REDOC)
    assert page.locator("html").get_attribute("lang") == "en"
    assert (accessibility_faults(page), problems) == ([], [])
