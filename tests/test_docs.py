"""The documentation: a site that builds without a broken link and needs no other server."""

import json
import re
from pathlib import Path

import pytest

from backend.development.docs_site import on_page_markdown
from backend.development.lint import run, site_builds
from backend.env import BASE_DIR

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


@pytest.mark.parametrize("name", OUTSIDE)
def test_links_of_pages_outside_the_site_lead_somewhere(name):
    page = BASE_DIR / name
    targets = [target for target in LINK.findall(page.read_text()) if "://" not in target]
    assert [target for target in targets if not Path(page.parent, target).exists()] == []
