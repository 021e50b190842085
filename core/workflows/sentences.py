"""A workflow's definition in sentences: when, if, then; from the help of its trigger and actions, which the
API's vocabulary gives too, and the labels of fields."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from core import labels
from core.conditions import Condition, parse
from core.conditions.words import ConditionWords, length, value_in_words
from core.entities import Entity, entities
from core.entities.custom import schema
from core.entities.reading import nested_refs
from core.errors import DomainError, InvalidError, ValueRefusedError
from core.workflows import definition
from core.workflows.actions import actions
from core.workflows.definition import BRANCH
from core.workflows.field_types import Duration
from core.workflows.params import Param
from core.workflows.triggers import triggers

LONGEST = 140
WHEN, IF, THEN, ELSE = "when", "if", "then", "else"


@dataclass(frozen=True)
class Sentence:
    """One line: the word it begins with, how deep it stands, what it says, and its particulars."""

    word: str
    depth: int
    text: str
    details: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The word as people read it; a further condition or step of the same goes on with "and"."""
        return {WHEN: pgettext("a workflow", "When"), IF: _("If"), THEN: _("Then"), ELSE: _("Else")}[
            self.word
        ]

    def __str__(self) -> str:
        return " ".join([f"{self.title} {self.text}", *self.details])


@dataclass(frozen=True)
class ComparedSentence:
    """A line of a version and what became of it: `same`, `added` or `removed`."""

    change: str
    sentence: Sentence


def sentences(given: Mapping[str, Any], user: Any) -> list[Sentence]:
    """What a definition says, secrets under their mask, for a user."""
    return _Definition(given, user).all()


def compared(old: list[Sentence], new: list[Sentence]) -> list[ComparedSentence]:
    """The lines of both, in order."""
    found: list[ComparedSentence] = []
    for change, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if change == "equal":
            found += [ComparedSentence("same", one) for one in new[c:d]]
        else:
            found += [ComparedSentence("removed", one) for one in old[a:b]]
            found += [ComparedSentence("added", one) for one in new[c:d]]
    return found


def _in_english(clause: str, noun: str, nouns: str) -> str:
    """A clause about a record, with its noun."""
    article = "an" if noun[:1] in "aeiou" else "a"
    text = clause.replace("a record was", f"{article} {noun} was").replace("the record", f"the {noun}")
    return text if noun in text else f"{text} ({nouns})"


class _Definition:
    def __init__(self, given: Mapping[str, Any], user: Any) -> None:
        self.settings = given.get("trigger_conditions") or {}
        self.trigger = triggers.get(given["trigger_type"])
        self.name = given["trigger_type"]
        self.steps = definition.masked(given.get("actions") or [])
        self.entity = entities.get(str(self.settings.get("model") or ""))
        self.user = user

    def all(self) -> list[Sentence]:
        return [
            Sentence(WHEN, 0, self._when(), tuple(self._trigger_settings())),
            *(Sentence(IF, 0, part) for part in self._parts(self.settings.get("conditions"))),
            *self._of_steps(self.steps, THEN, 0),
        ]

    def _when(self) -> str:
        clause = (self.trigger.when or self.trigger.help_text) if self.trigger else self.name
        if self.entity is None:
            return labels.label(clause)
        names = self.entity.model._meta
        if labels.is_english():
            return _in_english(clause, str(names.verbose_name), str(names.verbose_name_plural))
        # Other languages bend the clause by the noun's gender: it stands beside it.
        said = labels.label(clause)
        if str(names.verbose_name) in said:
            return said
        return _("%(clause)s (%(entities)s)") % {"clause": said, "entities": names.verbose_name_plural}

    def _trigger_settings(self) -> Iterator[str]:
        known = self.trigger.settings if self.trigger else ()
        for param in known:
            value = self.settings.get(param.name)
            if value not in (None, "", {}):
                name = setting_in_words(param)
                yield f"{name}: {self._setting(param.name, value)}"

    def _setting(self, name: str, value: Any) -> str:
        columns = schema(self.entity, names=[str(value)]) if self.entity else {}
        if name == "field" and value in columns:
            return _label(columns[value], str(value))
        if name in ("from", "to") and self.entity is not None:
            column = columns.get(str(self.settings.get("field") or "status"))
            return value_in_words(column.field_type, value) if column else _short(value)
        if name == "offset":
            return _offset(value)
        return _short(value)

    def _parts(self, raw: Any) -> list[str]:
        """A condition in words; as it is written where it is no longer understood."""
        parsed = self._parsed(raw)
        if parsed is None:
            return [_short(raw)] if raw else []
        return ConditionWords(self.user, [parsed]).parts(parsed)

    def _parsed(self, raw: Any) -> Condition | None:
        if not raw or self.entity is None:
            return None
        try:
            return parse(self.entity, raw, changes=True)
        except InvalidError:
            return None

    def _of_steps(self, items: list[Any], word: str, depth: int) -> Iterator[Sentence]:
        for item in items:
            given = item.get("params") or {}
            if item["type"] == BRANCH:
                yield from self._branch(given, word, depth)
                continue
            action = actions.get(item["type"])
            text = labels.label(action.help_text).rstrip(".") if action else item["type"]
            details = tuple(_details(given, self.entity, self.user))
            if labels.is_english():
                text = text[:1].lower() + text[1:]
            yield Sentence(word, depth, text, details)

    def _branch(self, given: Mapping[str, Any], word: str, depth: int) -> Iterator[Sentence]:
        asked = _(" and ").join(self._parts(given.get("conditions")))
        yield Sentence(word, depth, _("if %(condition)s:") % {"condition": asked})
        yield from self._of_steps(given.get("then") or [], THEN, depth + 1)
        yield from self._of_steps(given.get("else") or [], ELSE, depth + 1)


def _details(given: Mapping[str, Any], entity: Entity | None, user: Any) -> Iterator[str]:
    """The parameters of an action, a field by its label."""
    for name, value in named(given, user).items():
        if value in (None, "", [], {}):
            continue
        column = entity.by_name.get(str(value)) if entity and name == "field" else None
        text = _label(column, str(value)) if column else _short(value)
        yield f"{name_in_words(name)}: {text}"


def name_in_words(name: str) -> str:
    """What a parameter or a value of a run is called: "user_id" is the user."""
    return labels.titled(name.removesuffix("_id"))


def setting_in_words(param: Param) -> str:
    """What a setting or a parameter is called; `to` is a value, or whom something is sent to."""
    if param.name == "to":
        is_value = param.refers_to == "value_of_field"
        return pgettext("value of a field", "To") if is_value else pgettext("recipient", "To")
    if param.name == "model":
        return pgettext("kind of record", "Model")
    return name_in_words(param.name if not param.refers_to else param.name.removesuffix("_id"))


def named(given: Mapping[str, Any], user: Any) -> dict[str, Any]:
    """The values with the names of records, people and teams that `user` sees in place of their ids."""
    wanted: dict[str, set[int]] = {}
    for name, value in given.items():
        if target := _target(name):
            wanted.setdefault(target, set()).update(_ids(value))
    names = {target: nested_refs(target, ids, user) for target, ids in wanted.items()}
    return {name: _with_names(value, names.get(_target(name), {})) for name, value in given.items()}


PEOPLE = ("user", "users", "owner", "assignee", "assigned_to", "assigned_by", "actor")


def _target(name: str) -> str:
    """What the ids of a value are those of; "" where it holds none that are known."""
    base = name.removesuffix("_id").removesuffix("_ids")
    return "user" if base in PEOPLE else base if base == "team" or base in entities else ""


def _ids(value: Any) -> list[int]:
    return [one for one in (value if isinstance(value, list) else [value]) if type(one) is int]


def _with_names(value: Any, names: Mapping[int, Mapping[str, Any]]) -> Any:
    if isinstance(value, list):
        return [_with_names(one, names) for one in value]
    found = names.get(value) if type(value) is int else None
    return found.get("full_name") or found.get("name") or value if found else value


def _label(column: Any, name: str) -> str:
    return labels.field_title(column) if column.label else labels.titled(name)


def _short(value: Any) -> str:
    return Truncator(plain_words(value)).chars(LONGEST)


def plain_words(value: Any) -> str:
    """A value of JSON as people read it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {plain_words(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(plain_words, value))
    if value is None:
        return "–"  # noqa: RUF001
    return (_("yes") if value else _("no")) if isinstance(value, bool) else str(value)


def _offset(value: Any) -> str:
    try:
        span = Duration(signed=True).to_internal_value(value)
    except (DomainError, ValueRefusedError):
        return _short(value)
    words = _("%(span)s before") if span.total_seconds() < 0 else _("%(span)s after")
    return words % {"span": length(span)}
