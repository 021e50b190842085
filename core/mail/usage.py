"""E-mail templates as users of the custom fields in their texts."""

from core.entities import entities
from core.entities.usage import UsageSource, sources
from core.mail.models import EmailTemplate

sources.register(
    "email_template",
    UsageSource(
        name="email_template",
        rows=EmailTemplate.objects.all,
        parts=("subject", "text", "html"),
        # A template that is about nothing in particular may be about anything.
        entities=lambda template: [template.entity] if template.entity else entities.keys(),
        owners=lambda template: (template.created_by_id,),
    ),
)
