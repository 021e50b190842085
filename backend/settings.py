"""Django settings, read from the environment (docs/configuration.md lists every variable)."""

import hashlib
import hmac
from datetime import timedelta
from pathlib import Path

from corsheaders.defaults import default_headers

from backend import logs
from backend.database import database_settings
from backend.embedded.services import Services, data_folder
from backend.env import Env, load_dotenv
from core.features import FEATURES

BASE_DIR = Path(__file__).resolve().parent.parent
load_dotenv(BASE_DIR / ".env")
env = Env()

# ---- Where we are ----

DATA_DIR = data_folder(BASE_DIR, env)
_services = Services(DATA_DIR, env)

# A database of one's own means business: nothing but the embedded servers makes a development machine by
# itself.
ENVIRONMENT = env.choice(
    "CRM_ENV", ["development", "production"], "production" if env.is_set("DATABASE_URL") else "development"
)
PRODUCTION = ENVIRONMENT == "production"
DEBUG = env.flag("DEBUG", False)

LOOPBACK_HOSTS = ["127.0.0.1", "localhost", "[::1]"]
SECRET_KEY = env.text("SECRET_KEY") if PRODUCTION else env.text("SECRET_KEY", _services.secret_key())
SECRET_KEY_FALLBACKS = env.words("SECRET_KEY_FALLBACKS", [])
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", [] if PRODUCTION else LOOPBACK_HOSTS)
PUBLIC_URL = env.url("PUBLIC_URL", ["http", "https"], f"http://127.0.0.1:{env.integer('CRM_WEB_PORT', 8000)}")
SITE_NAME = env.text("SITE_NAME", "CRM")
UNFOLD = {"SITE_TITLE": SITE_NAME, "SITE_HEADER": SITE_NAME}  # the admin site
DEMO_LEADS = env.integer("CRM_DEMO_LEADS", 400, minimum=0)

# ---- Applications ----

INSTALLED_APPS = [
    "backend",
    "core",
    "contacts",
    "opportunities",
    "lead_management",
    "tasks",
    "unfold",  # before the admin, whose templates it replaces
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "pgtrigger",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "corsheaders",
]

MIDDLEWARE = [
    "core.api.request_ids.RequestIdMiddleware",
    "backend.headers.PolicyHeaders",
    "backend.health.HealthMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "core.accounts.api.throttling.RateLimitHeadersMiddleware",
]

ROOT_URLCONF = "backend.urls"
ASGI_APPLICATION = "backend.asgi.application"
WSGI_APPLICATION = "backend.wsgi.application"
APPEND_SLASH = False  # every path is routed with and without its slash; a redirect would lose a POST's body
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "core" / feature / "templates" for feature in FEATURES],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# ---- PostgreSQL ----

# Each has a connection of its own.
WEB_THREADS = env.integer("WEB_THREADS", 16, minimum=1, maximum=1000)
_pgbouncer = env.flag("DATABASE_PGBOUNCER", False)
_postgres_schemes = ["postgresql", "postgres"]
DATABASES = {
    "default": database_settings(
        env.url("DATABASE_URL", _postgres_schemes, _services.database_url()),
        pgbouncer=_pgbouncer,
    )
}
if env.is_set("DATABASE_REPLICA_URL"):
    DATABASES["replica"] = database_settings(
        env.url("DATABASE_REPLICA_URL", _postgres_schemes),
        variable="DATABASE_REPLICA_URL",
        pgbouncer=_pgbouncer,
    ) | {"TEST": {"MIRROR": "default"}}

# ---- Valkey / Redis ----

_redis_schemes = ["redis", "rediss", "unix"]
REDIS_URL = env.url("REDIS_URL", _redis_schemes, None if PRODUCTION else _services.redis_url())
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": env.url("CACHE_URL", _redis_schemes, REDIS_URL),
        "KEY_PREFIX": "crm",
        "OPTIONS": {"socket_timeout": 2, "socket_connect_timeout": 1, "health_check_interval": 15},
    },
    "local": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "local"},
}

# Published messages know no database numbers: installations that share a server are told apart by their key.
_live = hashlib.sha256(f"live {SECRET_KEY}".encode()).hexdigest()[:12]
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {
            "hosts": [{"address": REDIS_URL, "socket_connect_timeout": 1}],
            "prefix": f"crm:{_live}:",
        },
    }
}

# ---- Celery: what may differ between machines (the rest is in backend/celery.py) ----

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_TIME_LIMIT = env.integer("CELERY_TASK_TIME_LIMIT", 120, minimum=10)
CELERY_TASK_SOFT_TIME_LIMIT = env.integer("CELERY_TASK_SOFT_TIME_LIMIT", 90, minimum=5)

# ---- Users and security ----

AUTH_USER_MODEL = "core.User"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# A key of their own: what signs cookies and cursors signs no tokens.
JWT_SIGNING_KEY = env.text(
    "JWT_SIGNING_KEY", hmac.new(SECRET_KEY.encode(), b"crm.jwt", hashlib.sha512).hexdigest()
)
JWT_ISSUER = env.text("JWT_ISSUER", "crm")
JWT_AUDIENCE = env.text("JWT_AUDIENCE", "crm-api")
JWT_ACCESS_LIFETIME = env.duration("JWT_ACCESS_LIFETIME", timedelta(minutes=10))
# How long a session goes on unused, and at most.
JWT_REFRESH_LIFETIME = env.duration("JWT_REFRESH_LIFETIME", timedelta(days=14))
JWT_SESSION_LIFETIME = env.duration("JWT_SESSION_LIFETIME", timedelta(days=90))

_https = env.flag("HTTPS_ONLY", PRODUCTION)
SECURE_SSL_REDIRECT = _https
SECURE_HSTS_SECONDS = int(env.duration("HSTS_DURATION", timedelta(days=365)).total_seconds()) if _https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = _https
SECURE_HSTS_PRELOAD = _https
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.flag("BEHIND_PROXY", False) else None
TRUSTED_PROXY_COUNT = env.integer("TRUSTED_PROXY_COUNT", 1 if SECURE_PROXY_SSL_HEADER else 0, minimum=0)
SESSION_COOKIE_SECURE = _https
SESSION_COOKIE_HTTPONLY = True
CSRF_COOKIE_SECURE = _https
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS", [])
X_FRAME_OPTIONS = "DENY"

CORS_ALLOWED_ORIGINS = env.words("CORS_ALLOWED_ORIGINS", [])
CORS_URLS_REGEX = r"^/api/.*$"
CORS_ALLOW_HEADERS = [*default_headers, "idempotency-key", "if-match", "if-none-match", "x-request-id"]
CORS_EXPOSE_HEADERS = [
    *("ETag", "Location", "Retry-After", "X-Request-ID", "Idempotency-Replayed"),
    *("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"),
]

# ---- API ----

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "core.api.schema.CrmSchema",
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "core.accounts.api.authentication.SessionJWTAuthentication",
        "core.accounts.api.authentication.ApiKeyAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["core.api.permissions.SignedIn"],
    "DEFAULT_THROTTLE_CLASSES": ["core.accounts.api.throttling.RateThrottle"],
    "DEFAULT_RENDERER_CLASSES": ["core.api.rendering.JSONRenderer"],
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

# ---- The product's own settings (core/conf.py holds them all, with their defaults) ----

CRM = {
    "RECORD_URL": env.pattern("RECORD_URL", ["base", "plural", "id"], "{base}/api/v1/{plural}/{id}/"),
    "OUTBOUND_PLAIN_HTTP": env.flag("OUTBOUND_PLAIN_HTTP", False),
    "OUTBOUND_PORTS": env.integers("OUTBOUND_PORTS", [443, 80], minimum=1, maximum=65535),
    "OUTBOUND_ALLOWED_HOSTS": env.words("OUTBOUND_ALLOWED_HOSTS", []),
}

# ---- Lead scoring ----

LEAD_SCORING_MODEL_PATH = Path(
    env.text("LEAD_SCORING_MODEL_PATH", str(DATA_DIR / "models" / "lead_scoring_model.json"))
)
LEAD_SCORING_RETRAIN_SCHEDULE = env.text("LEAD_SCORING_RETRAIN_SCHEDULE", "0 2 * * 1")  # Monday 02:00 UTC

# ---- E-mail ----

_mail = "backend.mail_log" if DEBUG and not env.is_set("EMAIL_HOST") else "django.core.mail.backends.smtp"
EMAIL_BACKEND = env.text("EMAIL_BACKEND", f"{_mail}.EmailBackend")
EMAIL_HOST = env.text("EMAIL_HOST", "localhost")
EMAIL_PORT = env.integer("EMAIL_PORT", 25, minimum=1, maximum=65535)
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = env.flag("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = env.flag("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = env.duration("EMAIL_TIMEOUT", timedelta(seconds=20)).total_seconds()
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "crm@localhost")
SERVER_EMAIL = env.text("SERVER_EMAIL", DEFAULT_FROM_EMAIL)

# ---- Text messages ----

SMS_BACKEND = env.text("SMS_BACKEND", f"core.notifications.channels.sms.{'console' if DEBUG else 'http'}")
SMS_URL = env.text("SMS_URL", "")
SMS_ACCOUNT = env.text("SMS_ACCOUNT", "")
SMS_TOKEN = env.text("SMS_TOKEN", "")
SMS_FROM = env.text("SMS_FROM", "")
SMS_FILE_PATH = DATA_DIR / "sms"

# ---- Times, files ----

TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "/static/"
# Where production collects to. Development serves from the packages themselves.
STATIC_ROOT = Path(env.text("STATIC_ROOT", str(DATA_DIR / "staticfiles"))) if PRODUCTION else None
WHITENOISE_USE_FINDERS = not PRODUCTION  # without collectstatic; production serves what it collected, hashed
STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": DATA_DIR / "files", "file_permissions_mode": 0o600},
    },
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024

# ---- Logs ----

LOG_LEVEL = env.choice("LOG_LEVEL", ["DEBUG", "INFO", "WARNING", "ERROR"], "INFO")
LOG_FORMAT = env.choice("LOG_FORMAT", [logs.LINE, logs.JSON], logs.JSON if PRODUCTION else logs.LINE)
LOGGING = logs.logging_settings(LOG_LEVEL, LOG_FORMAT)
