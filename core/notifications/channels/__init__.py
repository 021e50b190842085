"""Notification channels. Each module registers a function that sends one message or raises why it cannot."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.core.mail.backends.base import BaseEmailBackend

from core.accounts.models import User
from core.notifications.models import Delivery, Notification
from core.registry import Registry


class PermanentError(Exception):
    """The message will never be accepted; with `address`, nor will anything else that is sent there."""

    def __init__(self, reason: str, *, address: str = "") -> None:
        super().__init__(reason)
        self.address = address


class TransientError(Exception):
    """The message may be accepted later, not before `retry_after` if the server named a time. `unreachable`
    names the circuit breaker of a server that could not be reached."""

    def __init__(self, reason: str, *, retry_after: timedelta | None = None, unreachable: str = "") -> None:
        super().__init__(reason)
        self.retry_after, self.unreachable = retry_after, unreachable


class CircuitOpenError(Exception):
    """The circuit breaker of the server is open: nothing was attempted."""


@dataclass(frozen=True)
class Message:
    """A notification for one channel; `url` is where its reader is led."""

    delivery: Delivery
    notification: Notification
    user: User
    url: str
    # Devices that have it already; a channel with several devices adds each as it is sent.
    done: list[int] = field(default_factory=list)
    # What the messages of a batch share: the connection to the mail server, and open circuit breakers.
    mail_server: BaseEmailBackend | None = None
    open_circuits: Collection[str] = ()

    @property
    def key(self) -> str:
        """The same for every attempt, so that a receiver can drop a repetition."""
        return f"notification-{self.notification.pk}-{self.delivery.channel}"


Send = Callable[[Message], Any]
channels: Registry[Send] = Registry("notification channel")
