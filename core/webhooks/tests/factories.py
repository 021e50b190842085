"""Webhook subscriptions and deliveries for tests."""

import factory
from factory.django import DjangoModelFactory

from core.accounts.tests.factories import UserFactory
from core.outbound import sealing, signing
from core.webhooks.models import WebhookDelivery, WebhookSubscription


class WebhookSubscriptionFactory(DjangoModelFactory):
    """An administrator's, to new leads. What it is signed with: `sealing.unseal(made.secret)`."""

    class Meta:
        model = WebhookSubscription

    name = factory.Sequence(lambda n: f"Subscription {n}")
    url = "https://receiver.example/hook"
    events = factory.LazyFunction(lambda: ["lead.created"])
    owner = factory.SubFactory(UserFactory, admin=True)
    secret = factory.LazyFunction(lambda: sealing.seal(signing.new_secret()))


class WebhookDeliveryFactory(DjangoModelFactory):
    """Queued, of no subscription (as a workflow's action makes it)."""

    class Meta:
        model = WebhookDelivery

    key = factory.Sequence(lambda n: f"delivery-{n}")
    event = "lead.created"
    lane = "receiver.example"
