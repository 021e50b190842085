"""The catalogs of translations: `python -m backend.development.messages` checks them, `… update` writes them.

Msgids are what Babel finds in Python, what Django's own `templatize` makes of templates, and the labels that
are derived from names (core.labels). It needs no gettext tools. `update` takes new msgids into
locale/<language>/LC_MESSAGES/django.po, leaves out those that are gone, and compiles django.mo; both are
committed. docs/development/translations.md says how to add a string and a language.
"""

import gettext
import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import unfold
from babel.messages import Catalog, Message
from babel.messages.extract import extract_python
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from backend.env import BASE_DIR
from backend.local_apps import LOCAL_APPS

LOCALE = BASE_DIR / "locale"
LANGUAGES = ("de", "fr")
KEYWORDS: dict[str, Any] = {
    **dict.fromkeys(("_", "gettext", "gettext_lazy", "gettext_noop")),
    **dict.fromkeys(("ngettext", "ngettext_lazy"), (1, 2)),
    **dict.fromkeys(("pgettext", "pgettext_lazy"), ((1, "c"), 2)),
}
# Not read by those who use the CRM.
LEFT_OUT = re.compile(
    r"/(tests|migrations|testing|commands|development)/|drf_spectacular|evaluation_report"
    r"|unfold/contrib/(?!filters)|unfold/.*(password|two_factor|object_history)"
)
_PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]|\{(\w*)\}|%[sd]")
# Context and msgid, or both numbers of a msgid.
Key = tuple[str | None, str | tuple[str, ...]]


def found() -> dict[Key, None]:
    """Every msgid of the code, the templates and the derived labels, each once."""
    keys: dict[Key, None] = {}
    for path in _files():
        keys |= dict.fromkeys(_of_file(path))
    plural = {msgid[0] for _context, msgid in keys if isinstance(msgid, tuple)}
    for context, msgid in list(keys):
        # A catalog has a msgid once; what others translate is theirs.
        if not (context or isinstance(msgid, tuple)) and (msgid in plural or _is_translated_elsewhere(msgid)):
            del keys[context, msgid]
    plain = [msgid for context, msgid in keys if context is None]
    known = {text for msgid in plain for text in (msgid if isinstance(msgid, tuple) else (msgid,))}
    keys |= {(None, text): None for text in _derived(known)}
    return keys


def _files() -> Iterator[Path]:
    """Our own, and those of unfold, which draws the admin site and has no catalogs."""
    for app in LOCAL_APPS:
        yield from _below(BASE_DIR / app)
    yield from _below(Path(unfold.__file__).parent)


def _below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        is_template = path.suffix in (".html", ".txt", ".js") and "templates" in path.parts
        name = str(path.relative_to(folder.parent))
        if (path.suffix == ".py" or is_template) and not LEFT_OUT.search(name):
            yield path


def _of_file(path: Path) -> Iterator[Key]:
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        from django.utils.translation.template import templatize

        # Its indentation is that of the template.
        text = "\n".join(line.strip() for line in templatize(text, origin=str(path)).splitlines())
    source = io.BytesIO(text.encode())
    read: Any = extract_python(source, KEYWORDS, (), {"encoding": "utf-8"})
    for _line, function, messages, _comments in read:
        parts: list[Any] = list(messages) if isinstance(messages, tuple | list) else [messages]
        if function.startswith("pgettext"):
            context, msgid = parts[:2]
            if msgid:
                yield context, msgid
        elif function.startswith("ngettext"):
            if parts[0] and parts[1]:
                yield None, (parts[0], parts[1])
        elif parts and parts[0]:
            yield None, parts[0]


# ---- What is derived from names ----


def _derived(known: set[str]) -> Iterator[str]:
    """The labels that no source file has as a text of its own, and no other package translates."""
    from core.labels import english, spellings

    for exact in (_of_models(), _of_registries()):
        for text in map(english, exact):
            if text and text not in known and not _is_translated_elsewhere(text):
                known.add(text)
                yield text
    for text in map(english, _of_names()):
        if text and not known.intersection(spellings(text)) and not _is_translated_elsewhere(text):
            known.add(text)
            yield text


def _is_translated_elsewhere(text: str) -> bool:
    """Whether Django, unfold or another package has it in each of our languages."""
    return all(any(text in one for one in _theirs(language)) for language in LANGUAGES)


@cache
def _theirs(language: str) -> list[Mapping[str, str]]:
    """The catalogs of other packages."""
    options: dict[str, Any] = {"languages": [language], "fallback": True}
    return [
        gettext.translation("django", str(folder), **options).__dict__.get("_catalog", {})
        for folder in _others()
    ]


def _others() -> Iterator[Path]:
    from django.apps import apps

    for config in apps.get_app_configs():
        folder = Path(config.path) / "locale"
        if folder.is_dir():
            yield folder


def _of_models() -> Iterator[Any]:
    """Names and help of models and fields: Django asks for them as they are."""
    from django.apps import apps
    from django.contrib import admin
    from django.contrib.auth.models import AbstractUser

    from core.entities import entities

    pages = {
        *admin.site._registry,
        *(one.model for page in admin.site._registry.values() for one in page.inlines),
    }
    shown = {*pages, *(entity.model for entity in entities)}
    theirs = {field.name for field in AbstractUser._meta.get_fields()}
    for app in LOCAL_APPS:
        for model in apps.get_app_config(app).get_models():
            options = model._meta
            yield from (options.verbose_name, options.verbose_name_plural)
            if model not in shown:
                continue
            for field in (*options.local_fields, *options.local_many_to_many):
                if not (issubclass(model, AbstractUser) and field.name in theirs - {"email"}):
                    yield from (field.verbose_name, field.help_text)


def _of_registries() -> Iterator[Any]:
    """Texts of what registers itself, which are shown by `labels.label`."""
    from core.notifications import digest, types, wording
    from core.workflows.actions import actions
    from core.workflows.triggers import triggers

    yield from (one.label for one in types.types)
    yield from (one.title for one in digest.sections)
    yield from (one.text for one in wording.added)
    for trigger in triggers:
        yield from (trigger.help_text, trigger.when)
        yield from (param.help_text for param in trigger.settings)
    for action in actions:
        yield action.help_text
        yield from (param.help_text for param in action.params)


def _of_names() -> Iterator[Any]:
    """Labels that are tried in several spellings."""
    from django.contrib import admin
    from django.contrib.admin.utils import label_for_field

    from core.entities import entities
    from core.entities.assignment import METHODS
    from core.entities.field_types import Choice
    from core.lead_scoring.scoring_target import scoring_targets
    from core.reports.periods import Unit
    from core.transfer.linked_columns import linked_columns
    from core.workflows.actions import actions
    from core.workflows.triggers import triggers

    for entity in entities:
        yield from (entity.name, entity.plural)
        for column in entity.columns:
            yield _title(column.label or column.name)
            if type(column.field_type) is Choice:  # others are chosen from what is stored
                yield from (
                    _title(value) for value in column.field_type.choices if value and not value.isupper()
                )
        yield from (one.label for one in entity.duplicates)
    yield from (one.label for one in linked_columns)
    for target in scoring_targets:
        yield from (feature.spec.label for feature in target.features)
    for group in (triggers, actions):
        for one in group:
            yield _title(one.name)
            params = one.settings if hasattr(one, "settings") else one.params
            yield from (_title(param.name.removesuffix("_id")) for param in params)
    yield from map(_title, (*METHODS, *Unit.values))
    for model, page in admin.site._registry.items():
        for name in (*page.list_display, *page.readonly_fields):
            if name != "action_checkbox" and model._meta.app_label in LOCAL_APPS:
                yield label_for_field(name, model, page)


def _title(name: str) -> str:
    return name.replace("_", " ")[:1].upper() + name.replace("_", " ")[1:]


# ---- Catalogs ----


def po_path(language: str) -> Path:
    return LOCALE / language / "LC_MESSAGES" / "django.po"


def read(language: str) -> Catalog:
    """The catalog as it is committed; an empty one of a new language."""
    path = po_path(language)
    if not path.exists():
        return _empty(language)
    with path.open("rb") as file:
        return read_po(file, locale=language, domain="django")


def _empty(language: str) -> Catalog:
    return Catalog(locale=language, domain="django", project="CRM", fuzzy=False, header_comment="")


def updated(language: str) -> Catalog:
    """The catalog with the msgids of today: what is translated stays so."""
    old, made = read(language), _empty(language)
    for context, msgid in sorted(found(), key=lambda key: (str(key[1]), key[0] or "")):
        before = old.get(msgid, context)
        string = before.string if before is not None else ("", "") if isinstance(msgid, tuple) else ""
        flags = {flag for flag in (before.flags if before else ()) if flag == "fuzzy"}
        made.add(msgid, string, context=context, flags=flags)
    return made


def text_of(catalog: Catalog) -> bytes:
    """The .po file, the same whenever it is written."""
    file = io.BytesIO()
    write_po(file, catalog, width=0, no_location=True, sort_output=True, omit_header=True)
    header = (
        'msgid ""\nmsgstr ""\n'
        f'"Language: {catalog.locale}\\n"\n'
        '"MIME-Version: 1.0\\n"\n"Content-Type: text/plain; charset=utf-8\\n"\n'
        '"Content-Transfer-Encoding: 8bit\\n"\n'
        f'"Plural-Forms: {catalog.plural_forms}\\n"\n\n'
    )
    return header.encode() + file.getvalue()


def compiled(catalog: Catalog) -> bytes:
    """The .mo file."""
    file = io.BytesIO()
    again = read_po(io.BytesIO(text_of(catalog)), locale=catalog.locale, domain="django")
    # No file differs by its date alone.
    again.creation_date = again.revision_date = datetime(2026, 1, 1, tzinfo=UTC)
    write_mo(file, again)
    return file.getvalue()


def update() -> None:
    """Write .po and .mo of every language."""
    for language in LANGUAGES:
        catalog, path = updated(language), po_path(language)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text_of(catalog))
        path.with_suffix(".mo").write_bytes(compiled(catalog))
        missing = sum(not _is_whole(one) for one in catalog if one.id)
        _print(f"{language}: {len(catalog)} msgids, {missing} without a translation")


def problems(language: str) -> Iterator[str]:
    """What is wrong with a committed catalog."""
    committed = read(language)
    wanted = found()
    there: dict[Any, Message] = {(one.context, one.id): one for one in committed if one.id}
    for key in wanted:
        if key not in there:
            yield f"{language}: not in the catalog: {key[1]!r}"
    for key, message in there.items():
        if key not in wanted:
            yield f"{language}: nowhere used: {key[1]!r}"
        else:
            yield from (f"{language}: {problem}: {key[1]!r}" for problem in _faults(message))
    path = po_path(language).with_suffix(".mo")
    if not path.exists() or path.read_bytes() != compiled(committed):
        yield f"{language}: django.mo is not made of this django.po"


def _faults(message: Message) -> Iterator[str]:
    if not _is_whole(message):
        yield "not translated"
    elif message.fuzzy:
        yield "fuzzy"
    elif _placeholders(_strings(message)[-1]) != (asked := _placeholders(_models(message)[-1])):
        yield "other placeholders than its msgid"
    elif not all(_placeholders(text) <= asked for text in _strings(message)):
        yield "placeholders that its msgid has not"


def _models(message: Message) -> list[str]:
    return [str(one) for one in (message.id if isinstance(message.id, tuple) else (message.id,))]


def _strings(message: Message) -> list[str]:
    given = message.string if isinstance(message.string, tuple | list) else (message.string,)
    return [one or "" for one in given]


def _is_whole(message: Message) -> bool:
    return all(_strings(message))


def _placeholders(text: str) -> set[str]:
    return {match.group() for match in _PLACEHOLDER.finditer(text.replace("%%", ""))}


def main(arguments: list[str]) -> int:
    """Check, or `update`."""
    import django

    from backend.development.lint import offline

    with tempfile.TemporaryDirectory(prefix="crm-messages-") as data:
        os.environ.update(offline(data))
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.settings")
        django.setup()
        if arguments == ["update"]:
            update()
            return 0
        wrong = [problem for language in LANGUAGES for problem in problems(language)]
    for problem in wrong:
        _print(problem)
    if wrong:
        _print(
            "`python -m backend.development.messages update` takes over msgids; translate them in locale/."
        )
    return 1 if wrong else 0


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
