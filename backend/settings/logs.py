"""Logs."""

from backend import logs
from backend.settings.environment import PRODUCTION, env

LOG_LEVEL = env.choice("LOG_LEVEL", ["DEBUG", "INFO", "WARNING", "ERROR"], "INFO")
LOG_FORMAT = env.choice("LOG_FORMAT", [logs.LINE, logs.JSON], logs.JSON if PRODUCTION else logs.LINE)
LOGGING = logs.logging_settings(LOG_LEVEL, LOG_FORMAT)
