"""REST framework, the OpenAPI document, rate limits."""

from backend.settings.environment import env

# Tag → what its operations are about, in the order in which documentation shows them.
API_TAGS = {
    "leads": "People and companies that may buy: qualified, scored, and converted once.",
    "contacts": "People at the companies you sell to.",
    "companies": "Companies you sell to.",
    "opportunities": "Deals in their pipelines; board and forecast.",
    "tasks": "Tasks such as calls and meetings, single or recurring.",
    "activities": "Calls, mails, meetings and notes, attached to a record.",
    "comments": "Comments on a record, with mentions of users.",
    "tags": "The tags in use; renaming, merging and removing them on all records at once.",
    "custom_fields": "Fields that an installation adds to its records.",
    "goals": "Targets of users and teams for a month or a quarter.",
    "reports": "Trends, funnel, velocity, outcomes, the pipeline of a past day, the waterfall.",
    "saved_views": "Filters of a list, stored under a name and shared.",
    "pipelines": "Pipelines of opportunities, with their stages.",
    "stages": "Stages of a pipeline, their order, probability and outcome.",
    "lost_reasons": "Why deals are lost: the list of a pipeline, or of all.",
    "exchange_rates": "Exchange rates by day, and storing a file of them.",
    "search": "Search across the records of all entities.",
    "changes": "The feed of all changes of the records you see: incremental load for other systems.",
    "audit": "The seals of the change table: a hash chain that shows what was done to it afterwards.",
    "import": "Uploading a file of records; previews and templates.",
    "imports": "Imports: progress, errors, undoing.",
    "import_mappings": "Stored mappings from the columns of a file to fields.",
    "export": "A list as a file, at once.",
    "exports": "Lists as files, made in the background and downloaded later.",
    "workflows": "Automation: triggers, conditions and actions, their versions and tests.",
    "executions": "Runs of workflows, step by step; retrying and cancelling them.",
    "email_templates": "Templates of mails that workflows send.",
    "hooks": "Addresses at which other systems start workflows.",
    "webhooks": "Subscriptions of other systems to signed messages about events.",
    "webhook_deliveries": "The log of messages to subscribers.",
    "field_rights": "Fields that are hidden from a role, or read-only for it.",
    "duplicate_rules": "What makes a new record a possible duplicate, and whether it is then refused.",
    "merges": "Merges of records, and undoing them.",
    "notifications": "The inbox, live updates, and preferences by type and channel.",
    "scoring": "Scores of leads: rules, models, reasons.",
    "calendar": "The feed of your tasks for calendar programs.",
    "users": "Users, their roles, invitations, and handing over their records.",
    "teams": "Teams, in a tree; managers see what belongs to their team and the teams below it.",
    "auth": "Signing in, sessions, API keys, passwords, passkeys, the second factor.",
    "agents": "Grants of AI clients, what they did, and undoing it.",
    "privacy": "Exporting and erasing the data of a person.",
    "index": "The list of resources.",
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
    "\n\nA deprecated address answers with `Deprecation` (RFC 9745: since when), `Sunset` (RFC 8594:"
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
                "primary": {"main": "#1f5fa8", "light": "#1f5fa8"},
                "text": {"secondary": "#5a5a5a"},
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
