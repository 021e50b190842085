"""Users, passwords, tokens, cookies, HTTPS, CORS."""

import hashlib
import hmac
import re
from datetime import timedelta
from urllib.parse import urlsplit

from corsheaders.defaults import default_headers

from backend.settings.environment import PRODUCTION, PUBLIC_URL, SECRET_KEY, env

AUTH_USER_MODEL = "core.User"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "core.accounts.password_rules.PlainPasswordValidator", "OPTIONS": {"min_length": 12}},
]
# Roles that may do nothing without a second factor.
SECOND_FACTOR_ROLES = env.words("SECOND_FACTOR_ROLES", [])
# Passkeys hold for one domain, which is never an IP address; a development machine is called localhost.
_public = urlsplit(PUBLIC_URL if PRODUCTION else PUBLIC_URL.replace("127.0.0.1", "localhost"))
_host = _public.hostname or ""
PASSKEY_DOMAIN = env.text("PASSKEY_DOMAIN", "" if re.fullmatch(r"[\d.]+|.*:.*", _host) else _host)
PASSKEY_ORIGINS = env.words("PASSKEY_ORIGINS", [f"{_public.scheme}://{_public.netloc}"])
_ROLES = ["admin", "manager", "rep", "viewer"]
# Signing in at an identity provider (OpenID Connect); none without an issuer.
OIDC_ISSUER = env.url("OIDC_ISSUER", ["https"] if PRODUCTION else ["https", "http"], "")
OIDC_CLIENT_ID = env.text("OIDC_CLIENT_ID") if OIDC_ISSUER else ""
OIDC_CLIENT_SECRET = env.text("OIDC_CLIENT_SECRET", "")
OIDC_NAME = env.text("OIDC_NAME", "single sign-on")
OIDC_SCOPES = env.text("OIDC_SCOPES", "openid profile email")
# Where an app of yours takes up a sign-in that began in it.
OIDC_APP_URL = env.url("OIDC_APP_URL", ["https", "http"], "")
OIDC_CREATES_USERS = env.flag("OIDC_CREATES_USERS", True)
OIDC_TRUSTS_EMAIL = env.flag("OIDC_TRUSTS_EMAIL", False)
OIDC_SECOND_FACTOR = env.flag("OIDC_SECOND_FACTOR", False)
# Groups of the provider and what they stand for here; the first that somebody is in counts.
OIDC_GROUPS_CLAIM = env.text("OIDC_GROUPS_CLAIM", "groups")
OIDC_ROLES = env.pairs("OIDC_ROLES", {}, _ROLES)
OIDC_TEAMS = env.pairs("OIDC_TEAMS", {})
OIDC_DEFAULT_ROLE = env.choice("OIDC_DEFAULT_ROLE", _ROLES, "rep")
# Who signs in by password: everyone, or superusers alone, who are let in when the provider is away.
PASSWORD_SIGN_IN = env.choice("PASSWORD_SIGN_IN", ["everyone", "superusers"], "everyone")
AUTHENTICATION_BACKENDS = ["core.accounts.password_sign_in.PasswordBackend"]
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

# Who reads /metrics; without it nobody. And the folder that processes of one machine count in.
METRICS_TOKEN = env.text("METRICS_TOKEN", "")
METRICS_FOLDER = env.text("PROMETHEUS_MULTIPROC_DIR", "")

CORS_ALLOWED_ORIGINS = env.words("CORS_ALLOWED_ORIGINS", [])
CORS_URLS_REGEX = r"^/api/.*$"
CORS_ALLOW_HEADERS = [*default_headers, "idempotency-key", "if-match", "if-none-match", "x-request-id"]
CORS_EXPOSE_HEADERS = [
    *("ETag", "Location", "Retry-After", "X-Request-ID", "Idempotency-Replayed"),
    *("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"),
    *("Deprecation", "Sunset", "Link"),
]
