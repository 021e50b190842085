"""Definitions as drafts and drafts as definitions, and what the buttons of the form do to a draft."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.http import QueryDict

from core.conditions.grammar import equality
from core.entities import entities
from core.workflows.actions import actions
from core.workflows.builder.fields import Fields
from core.workflows.builder.shapes import InputShape, rows, shape_of_operand, with_line_feeds
from core.workflows.definition import ARMS, BRANCH
from core.workflows.params import Param
from core.workflows.triggers import triggers

Draft = dict[str, Any]
KEPT = "kept"
TEXTS = ("name", "description", "status", "run_as", "trigger_type", "model")
TREES = ("settings", "conditions", "actions")
# How deep groups of conditions may nest in the form; the language allows more.
GROUPS = 2
MOVES = {"up": -1, "down": 1}


def sent(post: QueryDict) -> Draft:
    """What a browser sent, as a draft; a name that ends in [] holds several values."""
    found: Draft = {}
    for name in post:
        *path, last = name.split(".")
        if (path or [last])[0] not in (TREES if path else TEXTS):
            continue
        node: Any = found
        for part in path:
            node = node.setdefault(part, {}) if isinstance(node, dict) else None
        if isinstance(node, dict):
            several, texts = last.endswith("[]"), list(map(with_line_feeds, post.getlist(name)))
            node[last.removesuffix("[]")] = list(filter(None, texts)) if several else texts[-1]
    return found


class Drafting:
    """Between a definition and its draft, for a user. What the form has no inputs for is JSON in it."""

    def __init__(self, user: Any, model: str, trigger_type: str) -> None:
        self.trigger = triggers.get(trigger_type)
        # A run of some triggers is about no record, whatever model narrows them.
        is_about = self.trigger is None or self.trigger.has_record
        self.fields = Fields(entities.get(model) if is_about else None, user)

    # -- from a definition

    def of_settings(self, given: Mapping[str, Any]) -> Draft:
        """The settings of a trigger, without model and conditions."""
        known = self.trigger.settings if self.trigger else ()
        return self._of_params(known, given)

    def of_actions(self, given: Any) -> Draft:
        items = given if isinstance(given, list) else []
        return {str(i): self._of_action(item) for i, item in enumerate(items)}

    def _of_action(self, item: Any) -> Draft:
        kind = item.get("type") if isinstance(item, Mapping) else None
        inner = item.get("params") or {} if isinstance(item, Mapping) else None
        if (
            not isinstance(kind, str)
            or kind not in actions
            or not isinstance(inner, Mapping)
            or set(item) - {"type", "params"}
        ):
            return kept(item)
        if kind != BRANCH:
            found = self._of_params(actions[kind].params, inner)
            return kept(item) if KEPT in found else {"type": kind, "params": found}
        if set(inner) - {"conditions", *ARMS}:
            return kept(item)
        arms = {arm: self.of_actions(inner.get(arm)) for arm in ARMS}
        return {"type": kind, "conditions": self.of_conditions(inner.get("conditions")), **arms}

    def _of_params(self, known: tuple[Param, ...], given: Mapping[str, Any]) -> Draft:
        """By name; all of them as JSON where one is unknown."""
        if set(given) - {param.name for param in known}:
            return kept(given)
        found: Draft = {}
        for param in known:
            value = given.get(param.name)
            if value is None or value == "":
                continue
            draft = self.fields.shape(param, dict(given)).draft(value)
            found[param.name] = kept(value) if draft is None else draft
        return found

    def of_conditions(self, raw: Any) -> Draft:
        """A whole condition: a word, and what it joins."""
        if not raw:
            return {"word": "all", "items": {}}
        found = self._of_node(raw, 0)
        return found if "word" in found else {"word": "all", "items": {"0": found}}

    def _of_node(self, raw: Any, depth: int) -> Draft:
        if isinstance(raw, list):
            raw = {"all": raw}
        if not isinstance(raw, Mapping) or not raw:
            return kept(raw)
        if "field" in raw:
            return self._of_leaf(raw)
        if "not" in raw:
            return kept(raw)
        word = "any" if "any" in raw else "all"
        nodes = raw.get(word)
        if nodes is None:
            nodes = [{"field": name, "value": value} for name, value in raw.items()]
        if not isinstance(nodes, list) or not nodes or depth >= GROUPS or (word in raw and len(raw) > 1):
            return kept(raw)
        if len(nodes) == 1 and depth:
            return self._of_node(nodes[0], depth)
        return {"word": word, "items": {str(i): self._of_node(one, depth + 1) for i, one in enumerate(nodes)}}

    def _of_leaf(self, raw: Mapping[str, Any]) -> Draft:
        column, value = self.fields.named(raw.get("field")), raw.get("value")
        if column is None or set(raw) - {"field", "op", "value"}:
            return kept(raw)
        op = raw.get("op") or equality(column, value)
        if op == "is_empty" and value in (False, "false"):
            op = "is_filled"
        if op not in self.fields.operators(column, changes=True):
            return kept(raw)
        leaf = {"field": raw["field"], "op": op}
        shape = shape_of_operand(column, op)
        if shape is None:
            return leaf
        drawn = self._of_range(shape, value) if op == "between" else shape.draft(value)
        return kept(raw) if drawn is None else leaf | {"value": drawn}

    def _of_range(self, shape: Any, value: Any) -> Draft | None:
        ends = [shape.draft(one) for one in value] if isinstance(value, list) and len(value) == 2 else [None]
        return None if None in ends else {"low": ends[0], "high": ends[1]}

    # -- to a definition

    def settings(self, draft: Any) -> dict[str, Any]:
        return self._params(self.trigger.settings if self.trigger else (), draft)

    def actions(self, draft: Any) -> list[Any]:
        return [self._action(row) for row in rows(draft)]

    def _action(self, row: Draft) -> Any:
        if KEPT in row:
            return opened(row)
        kind = row.get("type", "")
        if kind != BRANCH:
            known = actions[kind].params if kind in actions else ()
            return {"type": kind, "params": self._params(known, row.get("params"))}
        arms = {arm: made for arm in ARMS if (made := self.actions(row.get(arm)))}
        return {"type": kind, "params": {"conditions": self.conditions(row.get("conditions")), **arms}}

    def _params(self, known: tuple[Param, ...], draft: Any) -> dict[str, Any]:
        given = draft if isinstance(draft, dict) else {}
        if KEPT in given:
            return opened(given)
        found = {}
        for param in known:
            value = _value(self.fields.shape(param, given), given.get(param.name))
            if value is not None:
                found[param.name] = value
        return found

    def conditions(self, draft: Any) -> Any:
        """Of a whole condition; without any it is empty."""
        given = draft if isinstance(draft, dict) else {}
        nodes = [self._node(row) for row in rows(given.get("items"))]
        return {_joined_by(given): nodes} if nodes else {}

    def _node(self, row: Draft) -> Any:
        if KEPT in row:
            return opened(row)
        if "items" in row or "word" in row:
            return {_joined_by(row): [self._node(one) for one in rows(row.get("items"))]}
        name, op = row.get("field", ""), row.get("op") or "eq"
        if op in ("is_empty", "is_filled"):
            return {"field": name, "op": "is_empty", "value": op == "is_empty"}
        shape = shape_of_operand(self.fields.named(name), op)
        if shape is None:
            return {"field": name, "op": op}
        draft = row.get("value")
        if op == "between":
            ends = draft if isinstance(draft, dict) else {}
            return {
                "field": name,
                "op": op,
                "value": [_value(shape, ends.get(end)) for end in ("low", "high")],
            }
        value = _value(shape, draft)
        return {"field": name, "op": op, "value": "" if value is None else value}


def _joined_by(group: Draft) -> str:
    return "any" if group.get("word") == "any" else "all"


def _value(shape: InputShape, draft: Any) -> Any:
    return opened(draft) if isinstance(draft, dict) and KEPT in draft else shape.value(draft)


def kept(raw: Any) -> Draft:
    """What the form has no inputs for."""
    return {KEPT: json.dumps(raw)}


def opened(draft: Draft) -> Any:
    """What stands in a draft as JSON; as text where somebody made it something else."""
    try:
        return json.loads(draft[KEPT])
    except (TypeError, ValueError, RecursionError):
        return str(draft[KEPT])


def draft_of(definition: Mapping[str, Any], user: Any) -> Draft:
    """The definition as a draft; secrets in it stand under their mask."""
    given = definition.get("trigger_conditions") or {}
    given = given if isinstance(given, Mapping) else {}
    model = str(given.get("model") or "")
    drafting = Drafting(user, model, definition["trigger_type"])
    settings = {name: value for name, value in given.items() if name not in ("model", "conditions")}
    return {
        "trigger_type": definition["trigger_type"],
        "model": model,
        "settings": drafting.of_settings(settings),
        "conditions": drafting.of_conditions(given.get("conditions")),
        "actions": drafting.of_actions(definition.get("actions")),
    }


def definition_of(draft: Draft, user: Any) -> dict[str, Any]:
    """The definition that a draft says, unchecked."""
    model, trigger_type = _word(draft, "model"), _word(draft, "trigger_type")
    drafting = Drafting(user, model, trigger_type)
    conditions = drafting.conditions(draft.get("conditions"))
    about = {"model": model} if model else {}
    asked = {"conditions": conditions} if conditions else {}
    return {
        "trigger_type": trigger_type,
        "trigger_conditions": about | drafting.settings(draft.get("settings")) | asked,
        "actions": drafting.actions(draft.get("actions")),
    }


def _word(draft: Draft, name: str) -> str:
    value = draft.get(name, "")
    return value if isinstance(value, str) else ""


def with_what_stays(made: dict[str, Any], stored: Mapping[str, Any], user: Any) -> dict[str, Any]:
    """The parts of a definition that differ from the stored one, whose steps stay as they were written where
    the form says the same of them: it writes some things otherwise (`{"city": "Oslo"}` as field, operator and
    value)."""
    same = definition_of(draft_of(stored, user), user)
    as_stored = [(new, old) for new, old in zip(same["actions"], stored["actions"] or [], strict=True)]
    made = made | {
        "actions": [next((old for new, old in as_stored if new == one), one) for one in made["actions"]]
    }
    settings = "trigger_conditions"
    if made[settings] == same[settings] and made["trigger_type"] == stored["trigger_type"]:
        made = made | {settings: stored[settings]}
    return {part: value for part, value in made.items() if value != stored[part]}


# -- what the buttons do


def edited(draft: Draft, command: str) -> Draft:
    """The draft after a button such as `add:actions`, `up:actions.2` or `remove:conditions.items.0` was
    pressed."""
    verb, _, place = command.partition(":")
    path = place.split(".")
    if verb in _NEW:
        _append(draft, path, _NEW[verb]())
    elif verb in ("remove", *MOVES) and path[-1].isdecimal():
        _rearrange(draft, path[:-1], path[-1], verb)
    return draft


_NEW: dict[str, Callable[[], Draft]] = {
    "step": lambda: {"type": ""},
    "condition": lambda: {"field": ""},
    "group": lambda: {"word": "any", "items": {"0": {"field": ""}}},
    "pair": lambda: {"name": ""},
}


def _append(draft: Draft, path: list[str], new: Draft) -> None:
    node = _node_at(draft, path)
    if node is not None:
        node[str(max((int(name) for name in node if name.isdecimal()), default=-1) + 1)] = new


def _rearrange(draft: Draft, path: list[str], at: str, verb: str) -> None:
    """Take out a row of a list, or let it change places with a neighbour."""
    node = _node_at(draft, path)
    if node is None or at not in node:
        return
    order = sorted((name for name in node if name.isdecimal()), key=int)
    place = order.index(at)
    if verb == "remove":
        del node[at]
    elif 0 <= (other := place + MOVES[verb]) < len(order):
        node[at], node[order[other]] = node[order[other]], node[at]


def _node_at(draft: Draft, path: list[str]) -> Draft | None:
    node: Any = draft
    for part in path:
        node = node.setdefault(part, {}) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else None


def tidy(draft: Draft) -> Draft:
    """The draft with its rows numbered from 0, without conditions and pairs that were left empty."""
    return {name: _tidied(value) if name in TREES else value for name, value in draft.items()}


def _tidied(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    places = [name for name in node if name.isdecimal()]
    if not places:
        return {name: _tidied(value) for name, value in node.items()}
    full = [_tidied(row) for row in rows(node) if not _is_left_empty(row)]
    return {str(i): row for i, row in enumerate(full)}


def _is_left_empty(row: Draft) -> bool:
    if "items" in row:
        return all(map(_is_left_empty, rows(row["items"])))
    if "field" in row:
        return not row["field"]
    return "name" in row and not row["name"] and not row.get("value")


def placed(path: str) -> str:
    """Where the draft has what the API names: `actions[0].params.then[1].params.tag` is
    `actions.0.then.1.params.tag`."""
    parts = list(_parts(path.replace("[", ".").replace("]", "").split(".")))
    return ".".join(parts)


def _parts(names: list[str]) -> Iterator[str]:
    if names[0] == "trigger_conditions":
        names = names[1:] if names[1:2] in (["conditions"], ["model"]) else ["settings", *names[1:]]
    inside = False
    for i, name in enumerate(names):
        below = names[i + 1] if i + 1 < len(names) else ""
        if name == "params" and below in ("conditions", *ARMS):
            continue
        inside = inside or name == "conditions"
        yield "items" if inside and name in ("all", "any") and below.isdecimal() else name
