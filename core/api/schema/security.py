"""The two ways of being signed in, as security schemes."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension


class SessionScheme(OpenApiAuthenticationExtension):
    target_class = "core.accounts.api.authentication.SessionJWTAuthentication"
    name = "jwt"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        about = "The `access` token of `POST /api/auth/login/`."
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": about}


class PageScheme(OpenApiAuthenticationExtension):
    """Only pages in a browser know it; the document does not name it."""

    target_class = "core.accounts.api.authentication.PageAuthentication"
    name: list[str] = []

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[Any]]]:
        return []

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        return []


class ApiKeyScheme(OpenApiAuthenticationExtension):
    target_class = "core.accounts.api.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        about = "An API key of `POST /api/auth/api_keys/`, in the same header."
        return {"type": "http", "scheme": "bearer", "bearerFormat": "crm_…", "description": about}
