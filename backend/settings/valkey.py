"""Valkey or Redis: cache, channel layer, Celery's broker (the rest of Celery is in backend/celery.py)."""

import hashlib

from backend.settings.environment import PRODUCTION, SECRET_KEY, embedded, env

_redis_schemes = ["redis", "rediss", "unix"]
REDIS_URL = env.url("REDIS_URL", _redis_schemes, None if PRODUCTION else embedded.redis_url())
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

CELERY_BROKER_URL = REDIS_URL
# Results of tasks are kept where this names a place for them; nothing here asks for any.
CELERY_RESULT_BACKEND = env.text("CELERY_RESULT_BACKEND", "") or None
CELERY_TASK_IGNORE_RESULT = CELERY_RESULT_BACKEND is None
CELERY_TASK_TIME_LIMIT = env.integer("CELERY_TASK_TIME_LIMIT", 120, minimum=10)
CELERY_TASK_SOFT_TIME_LIMIT = env.integer("CELERY_TASK_SOFT_TIME_LIMIT", 90, minimum=5)
