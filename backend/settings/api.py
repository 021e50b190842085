"""REST framework, the OpenAPI document, rate limits."""

from backend.settings.environment import env

# Tag → what its operations are about, in the order in which documentation shows them.
API_TAGS = {
    "leads": "People and companies that may buy: qualified, scored, and converted once.",
    "contacts": "The people one talks to.",
    "companies": "Whom one sells to.",
    "opportunities": "Deals on their way through a pipeline; board and forecast.",
    "tasks": "What has to be done: calls, meetings, series of them.",
    "activities": "Calls, mails, meetings and notes, attached to a record.",
    "comments": "Comments on a record, and who is mentioned in them.",
    "tags": "The tags in use; renaming, merging and removing them on all records at once.",
    "custom_fields": "Fields that an installation adds to its records.",
    "goals": "What users and teams are to win within a month or a quarter.",
    "reports": "Trends, funnel, velocity, outcomes, the pipeline of a past day, the waterfall.",
    "saved_views": "Filters of a list, kept under a name and shared.",
    "pipelines": "Pipelines of opportunities, with their stages.",
    "stages": "Stages of a pipeline, their order, probability and outcome.",
    "lost_reasons": "Why deals are lost: the list of a pipeline, or of all.",
    "exchange_rates": "Exchange rates by day, and storing a file of them.",
    "search": "One question to the records of every entity.",
    "changes": "The feed of every change of every record one sees: incremental load for other systems.",
    "audit": "The seals of the change table: a hash chain that shows what was done to it afterwards.",
    "import": "Uploading a file of records; looking at it first; templates.",
    "imports": "Imports that ran or are running: progress, faults, undoing.",
    "import_mappings": "Which column of a file is which field, kept under a name.",
    "export": "A list as a file, at once.",
    "exports": "Lists as files, made in the background and downloaded later.",
    "workflows": "Automation: triggers, conditions and actions, their versions and tests.",
    "executions": "Runs of workflows, step by step; retrying and cancelling them.",
    "email_templates": "Templates of mails that workflows send.",
    "hooks": "Addresses at which other systems start workflows.",
    "webhooks": "Subscriptions: signed messages to other systems about what happens here.",
    "webhook_deliveries": "The log of messages to subscribers.",
    "field_rights": "Fields that are hidden from a role, or read-only for it.",
    "duplicate_rules": "What makes a new record a possible duplicate, and whether it is refused then.",
    "merges": "Records that were made one, and taking them apart again.",
    "notifications": "The inbox, live updates, and preferences by type and channel.",
    "scoring": "Scores of leads: rules, models, reasons.",
    "calendar": "The feed of one's tasks for calendar programs.",
    "users": "Users, their roles, invitations and handing over what is theirs.",
    "teams": "Teams, above and below each other; managers see what is below them.",
    "auth": "Signing in, sessions, API keys, passwords, the second factor.",
    "agents": "What one lets AI clients do, what they did, and taking it back.",
    "privacy": "Exporting and erasing what is kept of a person.",
    "index": "Which lists there are.",
}
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
    "DEFAULT_METADATA_CLASS": None,  # the OpenAPI document has what OPTIONS would answer
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "DEFAULT_GENERATOR_CLASS": "core.api.schema.generator.EnglishSchemaGenerator",
    "TITLE": "CRM API",
    "DESCRIPTION": "Leads, contacts, companies, opportunities, tasks; automation, scoring, import, export."
    "\n\nTo try it here: `POST /api/auth/login/`, then Authorize with the `access` token of the answer."
    "\n\nAn address that is to go answers with `Deprecation` (RFC 9745: since when), `Sunset` (RFC 8594:"
    " until when it answers, a year or more later) and `Link` (`rel=successor-version`: what replaces it)."
    " Today these are the paths with hyphens (`/api/v1/saved-views/`), which are not listed here.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.1",
    "LICENSE": {"name": "MIT", "identifier": "MIT"},
    "CONTACT": {"name": "The maintainers"},
    "SERVERS": [{"url": "/", "description": "The installation that this document comes from."}],
    "TAGS": [{"name": name, "description": about} for name, about in API_TAGS.items()],
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    # JavaScript, because a plugin is code (core/static/crm/swagger.js).
    "SWAGGER_UI_SETTINGS": "{deepLinking: true, plugins: [readable]}",
    "REDOC_DIST": "SIDECAR",
    "REDOC_UI_SETTINGS": {
        "theme": {
            "colors": {
                "primary": {"main": "#1f5fa8"},
                "http": {
                    "get": "#1c66b5",
                    "post": "#1e7d4f",
                    "put": "#a35c00",
                    "patch": "#0b7a63",
                    "delete": "#c62828",
                },
            }
        }
    },
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "PREPROCESSING_HOOKS": ["core.api.schema.hooks.without_second_spellings"],
    "POSTPROCESSING_HOOKS": [
        "core.api.schema.hooks.add_problems",
        "core.api.schema.hooks.drop_unused",
        "backend.api_examples.add_examples",
    ],
}
RATE_LIMIT_ENABLED = env.flag("RATE_LIMIT_ENABLED", True)
DEFAULT_RATE_LIMIT = env.rate("DEFAULT_RATE_LIMIT", "1200/minute")
ANONYMOUS_RATE_LIMIT = env.rate("ANONYMOUS_RATE_LIMIT", "120/minute")
