"""The API as pages, for people who open an address in a browser."""

from typing import Any

from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.request import Request


class BrowsableRenderer(BrowsableAPIRenderer):
    """DRF's pages with forms for JSON alone: forms with a choice for every reference would read all records
    that can be referred to."""

    def get_rendered_html_form(self, data: Any, view: Any, method: str, request: Request) -> Any:
        """Buttons for what takes no body."""
        if method in ("DELETE", "OPTIONS"):
            return super().get_rendered_html_form(data, view, method, request)
        return None

    def get_raw_data_form(self, data: Any, view: Any, method: str, request: Request) -> Any:
        takes_body = getattr(view, "serializer_class", None) is not None
        return super().get_raw_data_form(data, view, method, request) if takes_body else None

    def get_filter_form(self, data: Any, view: Any, request: Request) -> None:
        return None

    def render(self, data: Any, accepted_media_type: Any = None, renderer_context: Any = None) -> Any:
        """The page; a problem document says of itself that it is one, which its page is not."""
        renderer_context["response"]["Content-Type"] = f"{self.media_type}; charset={self.charset}"
        return super().render(data, accepted_media_type, renderer_context)
