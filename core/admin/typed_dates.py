"""Days and moments as people type them, or pick them from a calendar, in the language in force."""

from datetime import date, datetime

from django import forms
from django.utils import timezone


def typed_day(text: str) -> date:
    """The day, as the reader's language writes it or as ISO 8601 does. Raises ValidationError."""
    return forms.DateField().clean(text)


def typed_moment(day: str, clock: str) -> datetime:
    """The moment that a clock of the reader's shows on that day. Raises ValidationError."""
    naive = datetime.combine(typed_day(day), forms.TimeField().clean(clock))
    try:
        return timezone.make_aware(naive)
    except OverflowError as error:
        raise forms.ValidationError(forms.DateField.default_error_messages["invalid"]) from error
