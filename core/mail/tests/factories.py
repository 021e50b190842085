"""E-mail templates and messages for tests."""

import factory
from factory.django import DjangoModelFactory

from core.mail.models import EmailMessage, EmailTemplate


class EmailTemplateFactory(DjangoModelFactory):
    class Meta:
        model = EmailTemplate

    key = factory.Sequence(lambda n: f"template_{n}")
    name = factory.LazyAttribute(lambda template: template.key.replace("_", " ").capitalize())
    subject = "Hello"
    text = "Hello"


class EmailMessageFactory(DjangoModelFactory):
    """Queued, to somebody outside."""

    class Meta:
        model = EmailMessage

    key = factory.Sequence(lambda n: f"message-{n}")
    subject = "Hello"
    text = "Hello"
    to = factory.LazyFunction(lambda: ["someone@outside.example"])
