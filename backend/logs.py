"""How log lines look: one line of text for people, or one JSON object for machines.

Neither can be forged by a line break in a message, and neither shows credentials that a message repeats.
"""

import logging
import re
from datetime import UTC, datetime
from typing import Any

import orjson

LINE, JSON = "line", "json"
HIDDEN = "[hidden]"
# Signed tokens, API keys, webhook secrets, the password inside a URL, the secret in the address of a
# calendar, and what an address names as one: tickets of the live channel, tokens that end mails.
CREDENTIALS = re.compile(
    r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|\bcrm_[\w-]{16,}|\bwhsec_[\w+/=-]{8,}|(?<=://)[^\s/:@]*:[^\s/@]+(?=@)"
    r"|(?<=/calendar/)[\w-]{16,}"
    r"|(?<=[?&]ticket=)[^\s&\"']+|(?<=[?&]token=)[^\s&\"']+|(?<=[?&]code=)[^\s&\"']+"
    # What PostgreSQL says of the values that it refused.
    r"|(?<=DETAIL:)[^\n]+|(?<=CONTEXT:)[^\n]+"
    r"|(?<=[?&]secret=)[^\s&\"']+|(?<=[?&]password=)[^\s&\"']+|(?<=[?&]api_key=)[^\s&\"']+"
)
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]")


def redact(text: str) -> str:
    """The text without what opens a door."""
    return CREDENTIALS.sub(HIDDEN, text)


def one_line(text: str) -> str:
    """Control characters written as escapes, so that a message cannot pretend to be two."""
    return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def request_id(record: logging.LogRecord) -> str:
    """The id of the request that the record speaks of; empty when there is none."""
    return str(
        getattr(record, "request_id", "") or getattr(getattr(record, "request", None), "request_id", "")
    )


class LineFormatter(logging.Formatter):
    """`2026-01-31T08:00:00.000Z INFO    name: message`; a traceback follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        known = request_id(record)
        message = one_line(redact(record.getMessage())) + (f" request_id={known}" if known else "")
        lines = [f"{_time(record)} {record.levelname:<7} {record.name}: {message}"]
        if record.exc_info:
            lines.append(redact(self.formatException(record.exc_info)))
        return "\n".join(lines)


class JsonFormatter(logging.Formatter):
    """An object with time, level, logger, message, process; request_id and error where there are any."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON on one line."""
        entry: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": redact(record.getMessage()),
            "process": record.process,
        }
        known = request_id(record)
        if known:
            entry["request_id"] = known
        if record.exc_info:
            entry["error"] = redact(self.formatException(record.exc_info))
        return orjson.dumps(entry, default=str).decode()


def is_news(record: logging.LogRecord) -> bool:
    """Not that beat rang a bell again, some times a minute."""
    return not record.getMessage().startswith("Scheduler: Sending due task")


def logging_settings(level: str, form: str) -> dict[str, Any]:
    """Django's LOGGING: everything goes to standard error, in one form."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {LINE: {"()": LineFormatter}, JSON: {"()": JsonFormatter}},
        "filters": {"news": {"()": lambda: is_news}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": form}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            # Those that bring handlers of their own hand their records up instead.
            "django": {"handlers": [], "level": level, "propagate": True},
            "django.server": {"handlers": [], "level": level, "propagate": True},
            "uvicorn": {"handlers": [], "level": level, "propagate": True},
            "uvicorn.access": {"handlers": [], "level": level, "propagate": True},
            # Of the sweeps that run all day: what went wrong.
            "celery.beat": {"filters": ["news"]},
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
            # Every SQL statement, every watched file, every call out is too much even for DEBUG.
            "django.db.backends": {"level": "INFO"},
            "django.utils.autoreload": {"level": "INFO"},
            "httpx": {"level": "WARNING"},
            "httpx2": {"level": "WARNING"},
            # A line for each request to begin and end what answers it.
            "mcp.server": {"level": "WARNING"},
        },
    }


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
