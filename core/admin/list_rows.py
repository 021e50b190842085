"""What unfold draws anew for each row of a list though it is the same: the headers of its columns, and the
box that selects the row. A list of fifty rows spent a third of its time on them."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from django.contrib.admin import helpers
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from unfold.admin import checkbox
from unfold.templatetags import unfold_list

PLACE = "of-a-row"


def _once(headers: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The headers of a list, made once: they depend on nothing but the list."""

    def of_list(cl: Any) -> Any:
        if not hasattr(cl, "crm_headers"):
            cl.crm_headers = list(headers(cl))
        return cl.crm_headers

    return of_list


unfold_list.result_headers = _once(unfold_list.result_headers)


def row_checkbox(pk: Any) -> SafeString:
    """The box that selects a row for an action."""
    before, after = _around(get_language() or "")
    return format_html("{}{}{}", before, pk, after)


@lru_cache(maxsize=8)
def _around(language: str) -> tuple[SafeString, SafeString]:
    """What stands before and behind the id; its label is in the language in force."""
    drawn = checkbox.render(helpers.ACTION_CHECKBOX_NAME, PLACE)
    before, after = drawn.split(PLACE)
    return SafeString(before), SafeString(after)
