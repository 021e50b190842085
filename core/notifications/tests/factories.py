"""Notifications and what users want of them, for tests."""

import factory
from factory.django import DjangoModelFactory

from core.accounts.tests.factories import UserFactory
from core.notifications.models import Delivery, Notification, NotificationPreference


class NotificationFactory(DjangoModelFactory):
    class Meta:
        model = Notification

    recipient = factory.SubFactory(UserFactory)
    type = "update"
    title = "Something changed"


class NotificationPreferenceFactory(DjangoModelFactory):
    class Meta:
        model = NotificationPreference

    user = factory.SubFactory(UserFactory)


class DeliveryFactory(DjangoModelFactory):
    class Meta:
        model = Delivery

    notification = factory.SubFactory(NotificationFactory)
    channel = Delivery.Channel.EMAIL
