"""Pages that try a workflow, stored or as it stands in its form: on a record, and on past changes. Nothing is
written or sent, and nothing is told that their reader may not see."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils import formats as dates
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget

from core import labels
from core.admin import verbs
from core.admin.home import page_url
from core.conditions import parse
from core.conditions.words import ConditionWords
from core.entities import entities
from core.entities.reading import nested_refs
from core.errors import InvalidError
from core.workflows import backtest, preview
from core.workflows.definition import check, definition_of, unsealed
from core.workflows.models import Workflow
from core.workflows.readers import RunReader
from core.workflows.sentences import name_in_words, named, plain_words

# Days that are looked back, where nothing else is asked for, and those that are offered.
DAYS = 30
PERIODS = (7, 30, 90)


class TryForm(verbs.VerbForm):
    """The record that a workflow is tried on."""

    entity = forms.ChoiceField(label=gettext_lazy("Kind of record"), widget=UnfoldAdminSelectWidget)
    record = forms.IntegerField(
        label=gettext_lazy("Its number"),
        min_value=1,
        max_value=2**63 - 1,
        required=False,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text=gettext_lazy("The id in the address of its page. Nothing is written or sent."),
    )

    def __init__(self, request: HttpRequest, entity: str, **options: Any) -> None:
        super().__init__(request, **options)
        names = [one for one in entities if not entity or one.name == entity]
        self.fields["entity"].choices = [  # type: ignore[attr-defined]
            (one.name, str(capfirst(one.model._meta.verbose_name))) for one in names
        ]
        self.request = request

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        entity, pk = entities.get(given.get("entity", "")), given.get("record")
        if entity and pk and not entity.visible_to(self.request.user).filter(pk=pk).exists():
            self.add_error("record", _("There is no such record that you see."))
        return given


def tried(
    workflow: Workflow, opened: Mapping[str, Any], name: str, pk: int | None, user: Any
) -> dict[str, Any]:
    """What a definition that was checked would do with a record, for the template `workflow_tried.html`."""
    found = preview.dry_run(workflow, opened, pk, workflow.run_as, {}, name, reader=RunReader(user))
    model = (opened.get("trigger_conditions") or {}).get("model")
    for one in found["conditions"]:
        one["words"] = _in_words(model or name, one["condition"], user)
    for one in found["actions"]:
        one |= {"place": _place(one["path"]), "shown": in_order(one.get("would"), user)}
        one["label"] = labels.titled(one["type"])
    return found | {"record": record_shown(name, pk, user)}


def _in_words(entity: str, raw: Any, user: Any) -> str:
    try:
        condition = parse(entities[entity], raw, changes=True)
    except InvalidError:
        return str(raw)
    return str(_(" and ")).join(ConditionWords(user, [condition]).parts(condition))


def record_shown(entity: str, pk: int | None, user: Any) -> dict[str, str] | None:
    """What a run is about, where the user sees it."""
    if not pk or entity not in entities:
        return None
    found = nested_refs(entity, {pk}, user).get(pk)
    if found is None:
        return {"title": f"{entity} {pk}", "url": ""}
    return {"title": found["name"], "url": page_url(entities[entity].model, pk)}


def in_order(given: Any, user: Any) -> list[tuple[str, str]]:
    """Names and values of an object as `user` reads them."""
    if not isinstance(given, dict):
        return []
    shown = sorted(named(given, user).items())
    return [(name_in_words(name), plain_words(value)) for name, value in shown]


def _place(path: str) -> str:
    """Where a step stands, counted from 1: "2.then.1"."""
    return ".".join(str(int(part) + 1) if part.isdecimal() else part for part in path.split("."))


# -- past changes


def asked_days(given: Mapping[str, str]) -> int:
    """How many days were asked for."""
    text = given.get("days", "")
    return min(max(int(text), 1), backtest.MAX_DAYS) if text.isdecimal() and len(text) < 4 else DAYS


@dataclass(frozen=True)
class Day:
    """A bar of the drawing: how many runs began on a day, as its place and height in percent."""

    title: str
    x: float
    y: float
    width: float
    height: float


def looked_back(workflow: Workflow, opened: Mapping[str, Any], days: int, user: Any) -> dict[str, Any]:
    """How often a definition that was checked would have run, for `workflow_backtest.html`. Raises
    ConflictError for a trigger that no change starts, ForbiddenError."""
    found = backtest.backtest(workflow, opened, workflow.run_as, days, reader=RunReader(user))
    name = opened["trigger_conditions"]["model"]
    named = nested_refs(name, {one["object_id"] for one in found["examples"]}, user)
    for one in found["examples"]:
        one["record"] = named.get(one["object_id"], {}).get("name") or f"{name} {one['object_id']}"
        one["url"] = page_url(entities[name].model, one["object_id"])
        one["steps"] = [_example_step(step, user) for step in one["actions"]]
    return found | {"bars": _bars(found["by_day"], found["days"])}


def _example_step(step: Mapping[str, Any], user: Any) -> tuple[str, str]:
    """What a step is, and what it would have done."""
    rendered = "; ".join(f"{name}: {value}" for name, value in in_order(step.get("would"), user))
    text = _("withheld") if step.get("withheld") else step.get("error") or rendered
    return labels.titled(step["type"]), text


def _bars(by_day: Mapping[str, int], days: int) -> list[Day]:
    """A bar for each day up to today, also where nothing would have run."""
    last = max([timezone.localdate(), *map(date.fromisoformat, by_day)])
    every = [last - timedelta(days=n) for n in range(days, -1, -1)]
    top, width = max(by_day.values(), default=0) or 1, 100 / len(every)
    return [_bar(day, by_day.get(day.isoformat(), 0), i * width, width, top) for i, day in enumerate(every)]


def _bar(day: date, n: int, x: float, width: float, top: int) -> Day:
    height = round(100 * n / top, 2)
    counted = ngettext("%(n)s run", "%(n)s runs", n) % {"n": n}
    title = f"{dates.date_format(day, 'DATE_FORMAT')}: {counted}"
    return Day(title, round(x + width * 0.1, 2), 100 - height, round(width * 0.8, 2), height)


def opened_of(workflow: Workflow) -> dict[str, Any]:
    """The stored definition with its secrets in clear, checked as it is when it runs. Raises InvalidError."""
    made = definition_of(workflow)
    opened = made | {"actions": unsealed(made["actions"])}
    check(opened, workflow.run_as, workflow.run_as)
    return opened
