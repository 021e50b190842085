"""E-mail and text messages."""

from datetime import timedelta

from backend.settings.environment import DATA_DIR, DEBUG, env

_mail = (
    "backend.development.mail_log"
    if DEBUG and not env.is_set("EMAIL_HOST")
    else "django.core.mail.backends.smtp"
)
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

SMS_BACKEND = env.text("SMS_BACKEND", f"core.notifications.channels.sms.{'console' if DEBUG else 'http'}")
SMS_URL = env.text("SMS_URL", "")
SMS_ACCOUNT = env.text("SMS_ACCOUNT", "")
SMS_TOKEN = env.text("SMS_TOKEN", "")
SMS_FROM = env.text("SMS_FROM", "")
SMS_FILE_PATH = DATA_DIR / "sms"
