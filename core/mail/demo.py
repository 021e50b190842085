"""E-mail templates for the demo data of an entity, whose app says which."""

from core.mail.models import EmailTemplate


def add_email_template(entity: str, key: str, name: str, subject: str, text: str) -> None:
    """A template to start from, where there is none of this key yet."""
    defaults = {"name": name, "entity": entity, "subject": subject, "text": text}
    EmailTemplate.objects.get_or_create(key=key, defaults=defaults)
