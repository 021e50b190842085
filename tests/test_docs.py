"""The documentation: a site that builds without a broken link and needs no other server."""

import json
import re
from pathlib import Path

import pytest

from backend.development.docs_site import on_page_markdown
from backend.development.lint import run, site_builds
from backend.env import BASE_DIR

CODE = ("bash", "sh", "curl", "python", "ts", "tsx", "typescript", "javascript")
BLOCK = re.compile(r"^[ ]*```(\w+)([^\n`]*)\n[ ]*([^\n]*)", re.MULTILINE)
# Pages whose blocks a test runs where they say `run` or `file=` (tests/test_guides.py, test_integrations.py).
RUN = (
    "README.md",
    *(f"docs/{name}.md" for name in ("agents", "import-export", "tutorial")),
    *(
        f"docs/development/{name}.md"
        for name in ("automation", "consumer", "entity", "field", "notifications")
    ),
    *(
        f"docs/integrations/{name}.md"
        for name in ("curl", "incremental-load", "polling", "python", "react-admin", "typescript", "webhooks")
    ),
    "docs/integrations/website-form.md",
)
# Page and first line of a block → why it is not run as it is printed.
NOT_RUN = {
    ("docs/import-export.md", "python manage.py import_csv leads leads.csv --user admin --preview"): (
        "core/transfer/tests/test_commands.py runs the commands in the tests' database"
    ),
    ("docs/notifications.md", "announce("): "an excerpt of opportunities/registration.py",
    ("docs/development/translations.md", "python -m backend.development.messages update"): (
        "it writes the catalogs; `make lint` runs the check"
    ),
    ("docs/webhooks.md", "from standardwebhooks import Webhook"): (
        "a part of the receiver in docs/integrations/webhooks.md, which is run"
    ),
    ("docs/integrations/react-admin.md", "<Admin dataProvider={dataProvider}>"): (
        "a page for a browser; its data provider is run"
    ),
}
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
LOADED = re.compile(r"<(?:script|img|iframe|link)\b[^>]*?\b(?:src|href)=[\"']?((?:https?:)?//[^\"' >]+)")
OUTSIDE = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "benchmarks/README.md")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    [build] = site_builds(str(folder))
    result = run(build)
    assert result.passed, result.output
    return folder / "site"


def test_no_page_loads_anything_from_another_server(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > len(list((BASE_DIR / "docs").rglob("*.md")))
    assert {str(page): found for page in pages if (found := LOADED.findall(page.read_text()))} == {}


def test_the_site_can_be_searched(site):
    found = json.loads((site / "search" / "search_index.json").read_text())["docs"]
    addresses = {one["location"] for one in found if "Idempotency-Key" in one["text"]}
    assert "api.html#writing" in addresses


def test_a_block_shows_its_file_and_none_of_the_options_for_tests():
    text = '```python file=a/b.py after="x"\n1\n```\n\n```bash run\nls\n```\n\n```json\n{}\n```\n'
    assert on_page_markdown(text) == (
        '```python title="a/b.py"\n1\n```\n\n```bash\nls\n```\n\n```json\n{}\n```\n'
    )


def test_every_block_of_code_is_run_by_a_test_or_says_why_not():
    pages = [*sorted((BASE_DIR / "docs").rglob("*.md")), *(BASE_DIR / name for name in OUTSIDE)]
    left = set()
    for page in pages:
        name = str(page.relative_to(BASE_DIR))
        for language, options, first in BLOCK.findall(page.read_text()):
            is_run = name in RUN and ({"run"} & set(options.split()) or "file=" in options)
            if language in CODE and not is_run:
                left.add((name, first))
    assert left == set(NOT_RUN)


@pytest.mark.parametrize("name", OUTSIDE)
def test_links_of_pages_outside_the_site_lead_somewhere(name):
    page = BASE_DIR / name
    targets = [target for target in LINK.findall(page.read_text()) if "://" not in target]
    assert [target for target in targets if not Path(page.parent, target).exists()] == []
