"""The ways out of the house. Each module registers a function that sends one message or says why not."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.core.mail.backends.base import BaseEmailBackend

from core.accounts.models import User
from core.notifications.models import Delivery, Notification
from core.registry import Registry


class PermanentError(Exception):
    """It will never be taken. With `address`, neither will anything else that goes there."""

    def __init__(self, reason: str, *, address: str = "") -> None:
        super().__init__(reason)
        self.address = address


class TransientError(Exception):
    """It may be taken later; not before `retry_after`, if the other side said so. `unreachable` names the
    circuit breaker of a server that could not be reached at all."""

    def __init__(self, reason: str, *, retry_after: timedelta | None = None, unreachable: str = "") -> None:
        super().__init__(reason)
        self.retry_after, self.unreachable = retry_after, unreachable


class LeftAloneError(Exception):
    """The server is left alone for now (its circuit breaker is open): this was no attempt."""


@dataclass(frozen=True)
class Message:
    """A notification for one channel; `url` is where its reader is led."""

    delivery: Delivery
    notification: Notification
    user: User
    url: str
    # Devices that have it already; a channel with several adds to it as it goes.
    done: list[int] = field(default_factory=list)
    # What the messages of a batch share: the connection to the mail server, and who is to be left alone.
    mail_server: BaseEmailBackend | None = None
    left_alone: Collection[str] = ()

    @property
    def key(self) -> str:
        """The same for every attempt, so that a receiver can drop a repetition."""
        return f"notification-{self.notification.pk}-{self.delivery.channel}"


Send = Callable[[Message], Any]
channels: Registry[Send] = Registry("notification channel")
