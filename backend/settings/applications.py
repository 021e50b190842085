"""Installed apps, middleware, templates."""

from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy

from backend.env import BASE_DIR
from backend.local_apps import LOCAL_APPS
from backend.settings.environment import env
from core.features import FEATURES

INSTALLED_APPS = [
    *("backend", *(app for app in reversed(LOCAL_APPS) if app != "backend")),
    "backend.apps.AdminSiteConfig",  # unfold, before the admin, whose templates it replaces
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
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "corsheaders",
]

MIDDLEWARE = [
    "core.api.request_ids.RequestIdMiddleware",
    "backend.headers.PolicyHeaders",
    "core.api.deprecation.DeprecationMiddleware",
    "backend.metrics.MetricsMiddleware",
    "backend.health.HealthMiddleware",
    "backend.request_limits.RequestLimitsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "core.accounts.cookies.CookieSessionMiddleware",
    "core.accounts.time_zones.TimeZoneMiddleware",
    "core.accounts.languages.LanguageMiddleware",
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
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

SITE_NAME = env.text("SITE_NAME", "CRM")
# Where who signed in without having asked for a page is led.
LOGIN_REDIRECT_URL = "admin:index"
UNFOLD = {  # the admin site
    "SITE_TITLE": SITE_NAME,
    "SITE_HEADER": SITE_NAME,
    "SITE_URL": None,
    "SITE_SYMBOL": "monitoring",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("crm/icon.svg")}
    ],
    "STYLES": [lambda request: static("crm/admin.css")],
    "SCRIPTS": [
        lambda request: static("crm/palette.js"),
        lambda request: static("crm/labels.js"),
        lambda request: static("crm/bell.js"),
    ],
    "SHOW_VIEW_ON_SITE": False,
    "ACCOUNT": {
        "navigation": [
            {"title": gettext_lazy("Settings"), "link": reverse_lazy("admin-settings")},
            {"title": gettext_lazy("Security"), "link": reverse_lazy("admin-security")},
        ]
    },
    "SIDEBAR": {"navigation": "core.admin.navigation.navigation", "show_search": True},
    "DASHBOARD_CALLBACK": "core.admin.home.context",
}
DEMO_LEADS = env.integer("CRM_DEMO_LEADS", 600, minimum=0)
