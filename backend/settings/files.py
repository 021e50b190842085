"""Times, languages, static files, uploads."""

from pathlib import Path

from backend.env import BASE_DIR
from backend.settings.environment import DATA_DIR, PRODUCTION, env

TIME_ZONE = env.time_zone("TIME_ZONE", "UTC")
USE_TZ = True

USE_I18N = True
# What there are complete translations of (docs/development/translations.md).
LANGUAGES = [("en", "English"), ("de", "Deutsch"), ("fr", "Français")]
# Of whoever has not chosen one and whose browser asks for none of these.
LANGUAGE_CODE = env.choice("LANGUAGE_CODE", [code for code, _name in LANGUAGES], "en")
LOCALE_PATHS = [BASE_DIR / "locale"]

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
