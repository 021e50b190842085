"""Labels that the code derives from names, in the reader's language.

A field without a `verbose_name`, a column of an entity, a choice without a name of its own, a parameter of a
workflow: their English label is made from a name, or is a plain text of a registry. It is translated where it
is shown, by `label`; `backend.development.messages` finds all of them for the catalogs.
"""

from collections.abc import Iterable
from typing import Any

from django.db import models
from django.utils.functional import Promise, lazy
from django.utils.text import capfirst
from django.utils.translation import get_language, gettext, gettext_lazy, override

# What is stored, and what machines read, is written in it.
MACHINE_LANGUAGE = "en"


def is_english() -> bool:
    """Whether what people read now is in English."""
    return (get_language() or MACHINE_LANGUAGE).startswith(MACHINE_LANGUAGE)


def label(text: Any) -> str:
    """A derived label as its reader's language has it, as it is where nothing translates it."""
    text = str(text)
    if not text or is_english():
        return text
    for msgid in spellings(text):
        found = gettext(msgid)
        if found != msgid:
            return str(capfirst(found)) if text[:1].isupper() else found
    if ": " in text:  # of what a reference points at: "Company: Industry"
        return ": ".join(label(part) for part in text.split(": "))
    return text


def spellings(text: str) -> tuple[str, ...]:
    """The msgids under which a label may be translated: Django calls the choice "Closed won" "Closed Won"."""
    return (text, text[:1].lower() + text[1:], text[:1].upper() + text[1:], text.title())


def titled(name: str) -> str:
    """A name of the code, or a derived label, as a title: `created_at` is "Created at"."""
    return label(as_title(name))


def as_title(name: str) -> str:
    """A name as a title in the words it has: what people defined themselves is translated by nobody."""
    return str(capfirst(str(name).replace("_", " ")))


def field_title(column: Any) -> str:
    """What a column is called: a custom field as whoever defined it says."""
    if far := getattr(column, "far", None):  # a field of what a reference points at
        return f"{field_title(column.reference)}: {field_title(far)}"
    text = column.label or column.name
    return as_title(text) if column.custom else titled(text)


lazy_label = lazy(label, str)
lazy_title = lazy(titled, str)


def english(text: Any) -> str:
    """The text as machines read it, whatever the language in force."""
    with override(MACHINE_LANGUAGE):
        return str(text)


def translate_models(found: Iterable[type[models.Model]]) -> None:
    """Have the names of these models and of their fields, and the help of the latter, translated where they
    are read. Migrations do not see it: they hold what the code says."""
    for model in found:
        options: Any = model._meta
        options.verbose_name = _lazily(options.verbose_name)
        # Django's own plural is a lazy text as well, of the English name.
        options.verbose_name_plural = gettext_lazy(english(options.verbose_name_plural))
        for field in (*options.local_fields, *options.local_many_to_many):
            field.verbose_name = _lazily(field.verbose_name)
            field.help_text = _lazily(field.help_text)


def _lazily(text: Any) -> Any:
    return text if not text or isinstance(text, Promise) else gettext_lazy(text)
