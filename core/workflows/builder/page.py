"""A draft as the template draws it: inputs with their values and faults, conditions, steps."""

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect, AutocompleteSelectMultiple
from django.forms.renderers import get_default_renderer
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _

from core import labels
from core.access import Role, role_of
from core.conditions import parse
from core.conditions.words import OF_DATES, OPERATORS, ConditionWords
from core.entities import field_types
from core.entities.references import seen, target_model
from core.errors import InvalidError
from core.workflows.actions import actions
from core.workflows.builder.drafts import GROUPS, KEPT, Draft, Drafting, kept, opened
from core.workflows.builder.fields import models
from core.workflows.builder.shapes import (
    LONG,
    InputShape,
    Picked,
    is_one_line,
    numbered,
    rows,
    shape_of_operand,
)
from core.workflows.definition import BRANCH, MAX_DEPTH
from core.workflows.models import Workflow
from core.workflows.params import Param
from core.workflows.run_context import names_for
from core.workflows.sentences import plain_words, setting_in_words
from core.workflows.templating import Names
from core.workflows.triggers import triggers

Input = dict[str, Any]
DEEPEST = MAX_DEPTH - 1


class DrawnDraft:
    """Draws one draft for a user; `issues` are faults by place in the draft."""

    def __init__(self, draft: Draft, user: Any, issues: Iterable[tuple[str, str]] = ()) -> None:
        self.draft, self.user = draft, user
        self.drafting = Drafting(user, _word(draft, "model"), _word(draft, "trigger_type"))
        self.fields = self.drafting.fields
        self.changes = bool(self.drafting.trigger and self.drafting.trigger.on_changes)
        self.places: dict[str, list[str]] = {}
        self.media = AutocompleteSelect(Workflow._meta.get_field("run_as"), admin.site).media
        self.shown = self._shown()
        self.faults = [text for place, text in issues if not self._noted(place, text)]

    def _shown(self) -> dict[str, Any]:
        return {
            "about": self._about(),
            "trigger": self._trigger(),
            "conditions": self._conditions("conditions", self.draft.get("conditions")),
            "steps": self._steps("actions", self.draft.get("actions"), 0),
            "placeholders": self._placeholders(),
        }

    def _noted(self, place: str, text: str) -> bool:
        """Whether a fault has found its place: where it belongs, or else the nearest around."""
        while place:
            if place in self.places:
                self.places[place].append(text)
                return True
            place = place.rpartition(".")[0]
        return False

    def _errors(self, path: str) -> list[str]:
        return self.places.setdefault(path, [])

    # -- inputs

    def _input(self, path: str, label: str, shape: InputShape, draft: Any, **more: Any) -> Input:
        base = {"path": path, "id": f"id_{path}", "label": label, "errors": self._errors(path), **more}
        if isinstance(draft, dict) and KEPT in draft:
            return base | self._kept(draft)
        return (
            base
            | {"widget": shape.widget}
            | _DRAWN.get(shape.widget, DrawnDraft._text)(self, path, shape, draft)
        )

    def _kept(self, draft: Draft) -> Input:
        return {"widget": KEPT, "json": draft[KEPT], "words": plain_words(opened(draft))}

    def _text(self, path: str, shape: InputShape, draft: Any) -> Input:
        text = draft if isinstance(draft, str) else ""
        # An input of one line would lose the others.
        return {
            "value": text,
            "widget": shape.widget if is_one_line(text) or shape.widget == "lines" else LONG.widget,
        }

    def _pick(self, path: str, shape: Any, draft: Any) -> Input:
        given = draft if isinstance(draft, Mapping) else {"pick": draft or ""}
        pick = given.get("pick") or []
        chosen = [one for one in (pick if isinstance(pick, list) else [pick]) if one and isinstance(one, str)]
        name = f"{path}.pick[]" if shape.multiple else f"{path}.pick"
        more = {
            "text": given.get("text", ""),
            "templated": shape.templated,
            "name": name,
            "multiple": shape.multiple,
        }
        if shape.target and (widget := _autocomplete(shape.target, shape.multiple, self.user)):
            html, shown = _rendered(widget, name, chosen, f"id_{path}")
            # What the user does not see would be dropped on saving.
            return more | {"html": html} if shown or more["text"] else self._kept(kept(shape.value(given)))
        if shape.target and len(chosen) > 1:
            return self._kept(kept(shape.value(given)))
        known = dict(shape.options)
        unknown = [(one, one) for one in chosen if one not in known]
        options = [(value, _(title), value in chosen) for value, title in [*shape.options, *unknown]]
        return more | {"options": options, "is_open": bool(shape.target)}

    def _span(self, path: str, shape: Any, draft: Any) -> Input:
        given = draft if isinstance(draft, Mapping) else {}
        units = [(unit, _(unit), unit == given.get("unit", "days")) for unit in shape.units]
        sides = (
            [(one, _(one), one == given.get("side")) for one in ("after", "before")] if shape.signed else []
        )
        return {"n": given.get("n", ""), "units": units, "sides": sides}

    def _moment(self, path: str, shape: Any, draft: Any) -> Input:
        given = draft if isinstance(draft, Mapping) else {}
        day = given.get("day") or "date"
        days = [(word, title, word == day) for word, title in _days()]
        units = [(unit, _(unit), unit == given.get("unit", "days")) for unit in shape.units]
        return {"day": day, "days": days, "units": units, "n": given.get("n", ""), "at": given.get("at", "")}

    def _pairs(self, path: str, shape: Any, draft: Any) -> Input:
        names = [(row.get("name", ""), row.get("value", "")) for row in rows(draft)] or [("", "")]
        return {
            "rows": [
                (
                    i,
                    name,
                    value,
                    _options(shape.names, name) if shape.names else None,
                    not is_one_line(str(value)),
                )
                for i, (name, value) in enumerate(names)
            ]
        }

    def _of_param(self, path: str, param: Param, given: Mapping[str, Any]) -> Input:
        shape = self.fields.shape(param, dict(given))
        return self._input(
            f"{path}.{param.name}",
            _titled(param),
            shape,
            given.get(param.name),
            help=labels.label(param.help_text),
            required=param.required,
            redraws=param.refers_to in ("field", "writable_field", "model"),
        )

    # -- parts of the page

    def _about(self) -> list[Input]:
        found = [
            self._input("name", _("Name"), InputShape(), self.draft.get("name"), required=True),
            self._input("description", _("Description"), LONG, self.draft.get("description")),
            self._plain_pick("status", _("Status"), [(one.value, str(one.label)) for one in Workflow.Status]),
        ]
        return [*found, self._acts_as()] if role_of(self.user) == Role.ADMIN else found

    def _acts_as(self) -> Input:
        widget = _autocomplete("user", False, self.user)
        chosen = _word(self.draft, "run_as")
        return {
            "path": "run_as",
            "id": "id_run_as",
            "label": _("Acts as"),
            "errors": self._errors("run_as"),
            "widget": "pick",
            "html": widget.render("run_as", chosen, {"id": "id_run_as"}) if widget else "",
            "help": _("Whose rights its runs have; you, if nobody is named."),
        }

    def _plain_pick(self, name: str, label: str, options: Iterable[tuple[str, str]], **more: Any) -> Input:
        found = self._input(
            name, label, Picked(options=tuple(options), templated=False), self.draft.get(name), **more
        )
        return found | {"name": name}

    def _trigger(self) -> dict[str, Any]:
        trigger, model = self.drafting.trigger, _word(self.draft, "model")
        kinds = [(one.name, labels.label(one.help_text).rstrip(".")) for one in triggers]
        given = self.draft.get("settings")
        given = given if isinstance(given, dict) else {}
        params = trigger.settings if trigger else ()
        settings = [self._of_param("settings", param, given) for param in params]
        if KEPT in given:
            settings = [self._input("settings", _("Settings"), InputShape(), given)]
        fit = [
            one
            for one in models()
            if trigger is None or not trigger.entities or one[0] in (*trigger.entities, model)
        ]
        return {
            "kind": self._plain_pick("trigger_type", _("What happens"), kinds, required=True, redraws=True),
            "model": self._plain_pick("model", _("To which records"), fit, redraws=True),
            "settings": settings,
            "errors": self._errors("settings"),
        }

    def _conditions(self, path: str, draft: Any) -> dict[str, Any]:
        group = draft if isinstance(draft, dict) else {}
        return self._group(path, group, 0)

    def _group(self, path: str, group: Draft, depth: int) -> dict[str, Any]:
        nodes = [self._node(f"{path}.items.{at}", row, depth + 1) for at, row in numbered(group.get("items"))]
        return {
            "kind": "group",
            "path": path,
            "word": group.get("word", "all"),
            "nodes": nodes,
            "may_group": depth + 1 < GROUPS,
            "errors": self._errors(path),
        }

    def _node(self, path: str, node: Draft, depth: int) -> dict[str, Any]:
        if KEPT in node:
            words = self._in_words(opened(node))
            return {"kind": KEPT, "path": path, "errors": self._errors(path), **self._kept(node), **words}
        if "items" in node or "word" in node:
            return self._group(path, node, depth)
        name, errors = node.get("field", ""), self._errors(path)
        column = self.fields.named(name)
        found: dict[str, Any] = {"kind": "leaf", "path": path, "errors": errors}
        found |= {"fields": self._field_groups(name), "operators": []}
        if not name:
            return found
        known = self.fields.operators(column, self.changes) if column else ["eq"]
        op = next((one for one in known if one == node.get("op")), known[0])
        found["operators"] = [(one, _operator(column, one), one == op) for one in known]
        shape = shape_of_operand(column, op)
        if shape is not None:
            draft = node.get("value")
            ends = draft if isinstance(draft, dict) else {}
            parts = [("value.low", ends.get("low")), ("value.high", ends.get("high"))]
            drawn = parts if op == "between" else [("value", draft)]
            found["inputs"] = [self._input(f"{path}.{at}", _("Value"), shape, one) for at, one in drawn]
        return found

    def _in_words(self, raw: Any) -> dict[str, str]:
        """A condition without inputs as a sentence says it; nothing where it is not understood."""
        if self.fields.entity is None:
            return {}
        try:
            parsed = parse(self.fields.entity, raw, changes=True)
        except InvalidError:
            return {}
        return {"words": str(_(" and ")).join(ConditionWords(self.user, [parsed]).parts(parsed))}

    def _field_groups(self, chosen: str) -> list[tuple[str, list[tuple[str, str, bool]]]]:
        """What a condition can be about, with what it is about now, also where that is no field any more."""
        groups = [(title, _options(names, chosen)) for title, names in self.fields.groups]
        is_known = any(selected for _title, names in groups for _value, _name, selected in names)
        return groups if is_known or not chosen else [("", [(chosen, chosen, True)]), *groups]

    def _steps(self, path: str, draft: Any, depth: int) -> dict[str, Any]:
        steps = [self._step(f"{path}.{at}", row, depth) for at, row in numbered(draft)]
        for number, step in enumerate(steps, 1):
            step |= {"number": number, "is_first": number == 1, "is_last": number == len(steps)}
        return {"path": path, "steps": steps, "errors": self._errors(path)}

    def _step(self, path: str, row: Draft, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {"path": path, "errors": self._errors(path)}
        if KEPT in row:
            return found | self._kept(row)
        kind = row.get("type", "")
        found |= {"type": kind, "kinds": self._kinds(kind, depth)}
        if kind == BRANCH:
            return found | {
                "conditions": self._conditions(f"{path}.conditions", row.get("conditions")),
                "then": self._steps(f"{path}.then", row.get("then"), depth + 1),
                "else": self._steps(f"{path}.else", row.get("else"), depth + 1),
            }
        if kind not in actions:
            return found
        given = row.get("params")
        given = given if isinstance(given, dict) else {}
        return found | {
            "inputs": [self._of_param(f"{path}.params", one, given) for one in actions[kind].params]
        }

    def _kinds(self, chosen: str, depth: int) -> list[tuple[str, str, bool]]:
        """The actions that fit the model; a branch as deep as branches may nest."""
        model = self.fields.entity.name if self.fields.entity else ""
        fit = [
            (one.name, labels.label(one.help_text).rstrip("."))
            for one in actions
            if one.name == chosen
            or (
                (not one.entities or model in one.entities)
                and (model or not one.needs_record)
                and (one.name != BRANCH or depth < DEEPEST)
            )
        ]
        return _options(fit, chosen)

    def _placeholders(self) -> list[tuple[str, list[str]]]:
        """What texts can read, by what it is of."""
        entity = self.fields.entity
        names = names_for(entity, changes=self.changes)
        titles = (
            {entity.name: str(entity.model._meta.verbose_name), "old": _("before the change")}
            if entity
            else {}
        )
        skipped = {"record", "change"}
        return [
            (titles.get(root, labels.titled(root)), _dotted(root, below))
            for root, below in names.items()
            if root not in skipped
        ]


_DRAWN = {
    "pick": DrawnDraft._pick,
    "span": DrawnDraft._span,
    "moment": DrawnDraft._moment,
    "pairs": DrawnDraft._pairs,
}


def _titled(param: Param) -> str:
    return setting_in_words(param)


def _options(names: Iterable[tuple[str, str]], chosen: Any) -> list[tuple[str, str, bool]]:
    return [(value, title, value == chosen) for value, title in names]


def _word(draft: Draft, name: str) -> str:
    value = draft.get(name, "")
    return value if isinstance(value, str) else ""


def _dotted(root: str, below: Names | None) -> list[str]:
    if not below:
        return [root]
    return [path for name, deeper in below.items() for path in _dotted(f"{root}.{name}", deeper)]


def _days() -> list[tuple[str, str]]:
    return [
        ("date", _("the date")),
        ("today", _("today")),
        ("yesterday", _("yesterday")),
        ("tomorrow", _("tomorrow")),
        ("now", _("now")),
        ("ago", _("ago")),
        ("ahead", _("from now")),
    ]


def _operator(column: Any, op: str) -> str:
    own = {
        "in": _("is one of"),
        "not_in": _("is none of"),
        "has_any": _("has one of"),
        "has_none": _("has none of"),
        "is_empty": _("is empty"),
        "is_filled": _("is filled in"),
        "between": _("is between"),
        "changed": _("changes"),
        "within_last": _("is within the last"),
        "within_next": _("is within the next"),
    }
    dated = column is not None and isinstance(column.field_type, field_types.Date | field_types.DateTime)
    return str({**OPERATORS, **(OF_DATES if dated else {}), **own}.get(op, op))


def _rendered(widget: Any, name: str, chosen: list[str], at: str) -> tuple[str, bool]:
    """A select, and whether it has all that is chosen."""
    known = [one for one in chosen if one.isdecimal()]
    picked = known if widget.allow_multiple_selected else "".join(known[:1])
    context = widget.get_context(name, picked, {"id": at})
    groups = context["widget"]["optgroups"]
    options = [option for _group, some, _index in groups for option in some if option["selected"]]
    html = get_default_renderer().render(widget.template_name, context)
    return mark_safe(html), {str(option["value"]) for option in options} >= set(chosen)  # noqa: S308  of a template


class SeveralByTyping(AutocompleteSelectMultiple):
    """Each choice has its own cross. The one of Select2 that clears them all stands where only list items
    belong."""

    def build_attrs(self, base_attrs: Any, extra_attrs: Any = None) -> dict[str, Any]:
        return super().build_attrs(base_attrs, extra_attrs) | {"data-allow-clear": "false"}


def _autocomplete(target: str, multiple: bool, user: Any) -> Any:
    """A select that is filled by typing; None for what the site has no such list of."""
    model = target_model(target)
    page = admin.site._registry.get(model)
    links = [rel.field for rel in model._meta.related_objects if rel.one_to_many and rel.field.concrete]
    if page is None or not page.search_fields or not links:
        return None
    kind, widget = (
        (forms.ModelMultipleChoiceField, SeveralByTyping)
        if multiple
        else (forms.ModelChoiceField, AutocompleteSelect)
    )
    made = kind(seen(target, user), widget=widget(links[0], admin.site), required=False)
    return made.widget
