"""What a browser would send back of a page."""

from html.parser import HTMLParser
from typing import Any


class _Fields(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, list[str]] = {}
        self.select: str | None = None
        self.area: str | None = None
        self.forms = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        name = found.get("name", "")
        if tag == "input" and name and self._counts(found, dict(attrs)):
            silent = "on" if found.get("type") in ("checkbox", "radio") else ""
            value = found.get("value", silent)
            is_text = found.get("type", "text") == "text"
            self.values.setdefault(name, []).append("".join(value.splitlines()) if is_text else value)
        elif tag == "select":
            self.select = name
        elif tag == "option" and self.select and "selected" in dict(attrs):
            self.values.setdefault(self.select, []).append(found.get("value", ""))
        elif tag == "textarea":
            self.area = name
            self.values[name] = [""]

    def _counts(self, found: dict[str, str], attrs: dict[str, Any]) -> bool:
        kind = found.get("type", "text")
        return kind not in ("submit", "button", "file") and (
            kind not in ("checkbox", "radio") or "checked" in attrs
        )

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self.select = None
        elif tag == "textarea":
            # A browser leaves out the newline behind <textarea> and ends lines with CRLF.
            text = self.values[self.area or ""][0].removeprefix("\n")
            self.values[self.area or ""] = [text.replace("\n", "\r\n")]
            self.area = None

    def handle_data(self, data: str) -> None:
        if self.area:
            self.values[self.area][0] += data


def filled_in(response: Any, **changes: Any) -> dict[str, Any]:
    """The fields of the page's forms as they are, with some changed."""
    parser = _Fields()
    parser.feed(response.content.decode())
    values: dict[str, Any] = dict(parser.values)
    values.pop("csrfmiddlewaretoken", None)
    return values | changes
