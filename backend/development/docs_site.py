"""A hook of MkDocs (mkdocs.yml): what the site shows differently from the files in docs/."""

import re
import shlex
from typing import Any

# A fenced block whose info string says more than its language, for the tests that run the samples.
FENCE = re.compile(r"^```(\w+) ([^\n`]+)$", re.MULTILINE)


def on_page_markdown(markdown: str, **kwargs: Any) -> str:
    """Blocks with their language and the file they belong in; the other options are for tests."""
    return FENCE.sub(_fence, markdown)


def _fence(found: re.Match[str]) -> str:
    language, options = found.groups()
    paths = [word.partition("=")[2] for word in shlex.split(options) if word.startswith("file=")]
    title = f' title="{paths[0]}"' if paths else ""
    return f"```{language}{title}"
