"""REST framework, the OpenAPI document, rate limits."""

from backend.settings.environment import env

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "core.api.schema.CrmSchema",
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "core.accounts.api.authentication.SessionJWTAuthentication",
        "core.accounts.api.authentication.ApiKeyAuthentication",
        "core.accounts.api.authentication.PageAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["core.api.permissions.SignedIn"],
    "DEFAULT_THROTTLE_CLASSES": ["core.accounts.api.throttling.RateThrottle"],
    "DEFAULT_RENDERER_CLASSES": [
        "core.api.rendering.JSONRenderer",
        "core.api.browsable.BrowsableRenderer",
    ],
    "DEFAULT_PARSER_CLASSES": ["core.api.rendering.JSONParser"],
    "EXCEPTION_HANDLER": "core.api.problems.handle",
    "DEFAULT_METADATA_CLASS": None,  # what OPTIONS would tell stands in the OpenAPI document
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "CRM API",
    "DESCRIPTION": "Leads, contacts, companies, opportunities, tasks; automation, scoring, import, export."
    "\n\nTo try it here: `POST /api/auth/login/`, then Authorize with the `access` token of the answer.",
    "VERSION": "1.0.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "PREPROCESSING_HOOKS": ["core.api.schema.hooks.without_second_spellings"],
    "POSTPROCESSING_HOOKS": ["core.api.schema.hooks.add_problems"],
}
RATE_LIMIT_ENABLED = env.flag("RATE_LIMIT_ENABLED", True)
DEFAULT_RATE_LIMIT = env.rate("DEFAULT_RATE_LIMIT", "1200/minute")
ANONYMOUS_RATE_LIMIT = env.rate("ANONYMOUS_RATE_LIMIT", "120/minute")
