"""E-mail templates to start from."""

from core.demo.parts import Demo
from core.mail.models import EmailTemplate

TEMPLATES = (
    (
        "welcome_email",
        "Welcome",
        "lead",
        "Welcome, {{ lead.first_name }}",
        "Hello {{ lead.first_name }},\n\nthank you for your interest. We will be in touch within two days.\n",
    ),
    (
        "follow_up",
        "Follow-up",
        "lead",
        "Shall we talk, {{ lead.first_name }}?",
        "Hello {{ lead.first_name }},\n\nyou asked about us some days ago. When would a call suit you?\n",
    ),
    (
        "deal_won",
        "Deal won",
        "opportunity",
        "Welcome aboard",
        "Hello,\n\nwe are glad to work with you on {{ opportunity.name }}.\n",
    ),
)


def add_templates(demo: Demo) -> str:
    for key, name, entity, subject, text in TEMPLATES:
        defaults = {"name": name, "entity": entity, "subject": subject, "text": text}
        EmailTemplate.objects.get_or_create(key=key, defaults=defaults)
    return f"{len(TEMPLATES)} e-mail templates"
