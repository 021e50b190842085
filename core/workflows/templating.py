"""Templates that users write: `{{ lead.first_name }}` in Liquid, over plain dicts, within limits.

A template is checked when it is saved (syntax, filters, every name it reads) and rendered for where its
output lands: HTML text, a mail header, a part of a URL, JSON text, or plain text. No live object ever
gets into it, so there is nothing to walk to.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TextIO
from urllib.parse import quote

import orjson
from django.utils.translation import gettext as _
from liquid import Environment, RenderContext
from liquid.builtin.output import Output, OutputNode
from liquid.exceptions import LiquidError
from liquid.stringify import to_liquid_string
from liquid.template import BoundTemplate
from liquid.undefined import Undefined

from core.errors import ValueRefusedError
from core.workflows.storable import exceeds_64_bits

MAX_TEMPLATE = 100_000
MAX_OUTPUT = 500_000
MAX_VALUE = 50_000
TAGS = {"if", "unless", "case", "for", "break", "continue", "assign", "comment", "#"}
# Those that neither multiply their input nor unmake escaping. Not among them: replace, split, join with
# long separators, base64, safe.
FILTERS = {
    "abs", "append", "at_least", "at_most", "capitalize", "ceil", "date", "default", "divided_by", "downcase",
    "escape", "first", "floor", "join", "last", "lstrip", "minus", "modulo", "newline_to_br", "plus",
    "prepend", "remove", "round", "rstrip", "size", "slice", "squish", "strip", "strip_html",
    "strip_newlines", "times", "truncate", "truncatewords", "upcase", "url_encode",
}  # fmt: skip
HTML, HEADER, URL, TEXT, JSON = "html", "header", "url", "text", "json"
# Parts of a list or text that Liquid gives names to.
ALWAYS = {"size", "first", "last"}
# Names a template may read → the names below each; None where anything may be below.
Names = Mapping[str, "Names | None"]


class TemplateRefusedError(ValueRefusedError):
    """A template that cannot be parsed, reads a name that is not there, or renders beyond its limits."""

    code = "bad_template"


class _UrlNode(OutputNode):
    """Output as one percent-encoded part: it adds no slash, query or host of its own."""

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        return buffer.write(quote(to_liquid_string(self.expression.evaluate(context), False), safe=""))


class _UrlOutput(Output):
    node_class = _UrlNode


class _JsonNode(OutputNode):
    """Output as a place in a JSON text: what stands there is decided once the whole text is known, for inside
    of quotes a value is written otherwise than outside. The values stand apart meanwhile, so that none of
    them can be taken for a place."""

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        values = context.tag_namespace.setdefault("json", [])
        values.append(self.expression.evaluate(context))
        return buffer.write(f"{_OPEN}{len(values) - 1}{_CLOSE}")


class _JsonOutput(Output):
    node_class = _JsonNode


# Of the private use area: they are left out of templates that hold them.
_OPEN, _CLOSE = "\ue000", "\ue001"
_JSON_PART = re.compile(rf'\\.|"|{_OPEN}(\d+){_CLOSE}', re.DOTALL)


def _filled(text: str, values: Sequence[Any]) -> str:
    """A JSON text with a value in each of its places: inside of quotes as escaped text, outside as a JSON
    value of its own, so that no value can add a member or end the text it stands in."""
    quoted = False

    def fill(found: re.Match[str]) -> str:
        nonlocal quoted
        if found[0] == '"':
            quoted = not quoted
        if found[1] is None:
            return found[0]
        value = values[int(found[1])]
        if quoted:
            return orjson.dumps(to_liquid_string(value, False)).decode()[1:-1]
        return orjson.dumps(_as_json(value)).decode()

    return _JSON_PART.sub(fill, text)


def _as_json(value: Any) -> Any:
    """A value outside of quotes: numbers, booleans, lists and objects as such, everything else as text."""
    if value is None or isinstance(value, Undefined):
        return None
    if isinstance(value, Mapping) and not isinstance(value, dict):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    return value if isinstance(value, str | float | bool | list | dict) else to_liquid_string(value, False)


class _Limited(Environment):
    block_nesting_limit = 10
    context_depth_limit = 12
    loop_iteration_limit = 1_000
    local_namespace_limit = 200_000
    output_stream_limit = MAX_OUTPUT

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        pseudo = {name for name, tag in self.tags.items() if name not in TAGS and _is_markup(tag)}
        for name in pseudo:
            del self.tags[name]
        self.filters = {name: _bounded(self.filters[name]) for name in FILTERS}


def _is_markup(tag: Any) -> bool:
    """Whether users write this tag, as against those that stand for text and output."""
    return type(tag).__name__ not in ("Literal", "Output", "Illegal")


def _bounded(function: Callable[..., Any]) -> Callable[..., Any]:
    """The filter, refusing values so long that a chain of filters could grow without end."""

    def call(*args: Any, **kwargs: Any) -> Any:
        if any(isinstance(a, str | list) and len(a) > MAX_VALUE for a in args):
            raise TemplateRefusedError(_("A value grew too long."))
        if any(isinstance(a, int) and abs(a) > 10**30 for a in args):
            raise TemplateRefusedError(_("A number grew too large."))
        return function(*args, **kwargs)

    for name, value in vars(function).items():
        setattr(call, name, value)
    return call


def _environments() -> dict[str, Environment]:
    html = _Limited(autoescape=True)
    url = _Limited()
    url.add_tag(_UrlOutput)
    json = _Limited()
    json.add_tag(_JsonOutput)
    return {HTML: html, URL: url, TEXT: _Limited(), HEADER: _Limited(), JSON: json}


_ENVIRONMENTS = _environments()


def is_template(text: Any) -> bool:
    """Whether there is anything to render in a value."""
    return isinstance(text, str) and ("{{" in text or "{%" in text)


@lru_cache(maxsize=4_096)
def _parsed(text: str, escaping: str) -> BoundTemplate:
    if len(text) > MAX_TEMPLATE:
        raise TemplateRefusedError(
            _("A template has at most %(max_template)s characters.") % {"max_template": MAX_TEMPLATE}
        )
    try:
        return _ENVIRONMENTS[escaping].from_string(text)
    except (LiquidError, RecursionError) as error:
        raise TemplateRefusedError(
            _("Not a template: %(first_line)s") % {"first_line": _first_line(error)}
        ) from error


def _first_line(error: Exception) -> str:
    """The first line of Liquid's message, which may hold the whole template."""
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


def check(text: str, names: Names, escaping: str = TEXT) -> None:
    """Raises TemplateRefusedError unless `text` parses, uses known filters and reads only `names`."""
    template = _parsed(text, escaping)
    try:
        analysis = template.analyze()
    except LiquidError as error:
        raise TemplateRefusedError(
            _("Not a template: %(first_line)s") % {"first_line": _first_line(error)}
        ) from error
    unknown = set(analysis.filters) - FILTERS
    if unknown:
        raise TemplateRefusedError(_("Unknown filter: %(known)s.") % {"known": ", ".join(sorted(unknown))})
    for path in read_names(template):
        _check_path(path, names)


def read_names(template: BoundTemplate) -> Iterator[tuple[Any, ...]]:
    """The paths a template reads from outside itself."""
    yield from (tuple(path) for path in template.global_variable_segments())


def _check_path(path: tuple[Any, ...], names: Names) -> None:
    """Every part is among the known ones; a part computed from data (`lead[x]`) is never."""
    shown = ".".join(str(part) for part in path)[:100]
    level: Names | None = names
    for part in path:
        if level is None:
            return
        if not isinstance(part, str | int):
            raise TemplateRefusedError(
                _("Names are written out, not computed: %(shown)s.") % {"shown": repr(shown)}
            )
        if part in ALWAYS and level is not names:
            return
        if part not in level:
            known = ", ".join(sorted(level)) or "nothing below it"
            raise TemplateRefusedError(
                _("Unknown name %(shown)s. Known: %(known)s.") % {"shown": repr(shown), "known": known}
            )
        level = level[part]  # type: ignore[index]  # a number is in no mapping of names


def render(text: str, context: Mapping[str, Any], escaping: str = TEXT) -> str:
    """The template over `context` (plain dicts), escaped for where it lands. TemplateRefusedError."""
    if not is_template(text):
        return _for_header(text) if escaping == HEADER else text
    if escaping == JSON:
        return _render_json(text, context)
    try:
        rendered = _parsed(text, escaping).render(_read(text, escaping, context))
    except (LiquidError, RecursionError, OverflowError, ArithmeticError) as error:
        raise TemplateRefusedError(
            _("The template cannot be rendered: %(first_line)s") % {"first_line": _first_line(error)}
        ) from error
    return _for_header(rendered) if escaping == HEADER else rendered


def _render_json(text: str, context: Mapping[str, Any]) -> str:
    """Raises TemplateRefusedError also where what comes out is no JSON."""
    template = _parsed(text.replace(_OPEN, "").replace(_CLOSE, ""), JSON)
    rendering = RenderContext(template, globals=_read(text, JSON, context))
    buffer = rendering.get_buffer()
    try:
        template.render_with_context(rendering, buffer)
        filled = _filled(buffer.getvalue(), rendering.tag_namespace.get("json", []))
    except (LiquidError, RecursionError, OverflowError, ArithmeticError, TypeError) as error:
        raise TemplateRefusedError(
            _("The template cannot be rendered: %(first_line)s") % {"first_line": _first_line(error)}
        ) from error
    if len(filled) > MAX_OUTPUT:
        raise TemplateRefusedError(_("What is rendered grew too long."))
    try:
        orjson.loads(filled)
    except orjson.JSONDecodeError as error:
        raise TemplateRefusedError(_("What is rendered is no JSON: %(error)s.") % {"error": error}) from error
    return filled


def _read(text: str, escaping: str, context: Mapping[str, Any]) -> dict[str, Any]:
    """Of the context what the template reads: the rest is not even made."""
    return {name: context[name] for name in _roots(text, escaping) if name in context}


@lru_cache(maxsize=4_096)
def _roots(text: str, escaping: str) -> frozenset[str]:
    return frozenset(str(path[0]) for path in read_names(_parsed(text, escaping)))


def _for_header(text: str) -> str:
    """One line: whatever could start another header becomes a blank."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def value(raw: Any, context: Mapping[str, Any]) -> Any:
    """A JSON value with every template in it rendered. A text that is one `{{ … }}` alone keeps the type of
    what it names (a number stays a number); in any other text it becomes part of the text."""
    if isinstance(raw, Mapping):
        return {key: value(item, context) for key, item in raw.items()}
    if isinstance(raw, list):
        return [value(item, context) for item in raw]
    if not is_template(raw):
        return raw
    single = _single_output(_parsed(raw, TEXT))
    return _evaluated(raw, single, context) if single else render(raw, context)


def _single_output(template: BoundTemplate) -> OutputNode | None:
    nodes = template.nodes
    return nodes[0] if len(nodes) == 1 and isinstance(nodes[0], OutputNode) else None


def _evaluated(raw: str, node: OutputNode, context: Mapping[str, Any]) -> Any:
    template = _parsed(raw, TEXT)
    try:
        found = node.expression.evaluate(RenderContext(template, globals=_read(raw, TEXT, context)))
    except (LiquidError, OverflowError, ArithmeticError) as error:
        raise TemplateRefusedError(
            _("The template cannot be rendered: %(first_line)s") % {"first_line": _first_line(error)}
        ) from error
    if exceeds_64_bits(found):
        raise TemplateRefusedError(_("A number grew too large."))
    if isinstance(found, Undefined):
        return None
    if isinstance(found, Mapping) and not isinstance(found, dict):
        return str(found)  # a person, who is called by name
    if isinstance(found, int) and not isinstance(found, bool):
        return int(found)  # the id of a person, by which more can be asked of them
    return found if isinstance(found, str | int | float | bool | list | dict) else None


def check_value(raw: Any, names: Names, escaping: str = TEXT) -> None:
    """Check every template in a JSON value."""
    if isinstance(raw, Mapping):
        for item in raw.values():
            check_value(item, names, escaping)
    elif isinstance(raw, list):
        for item in raw:
            check_value(item, names, escaping)
    elif is_template(raw):
        check(raw, names, escaping)


def names_read(raw: Any) -> set[str]:
    """The first parts of all names that the templates in a JSON value read."""
    if isinstance(raw, Mapping):
        return {name for item in raw.values() for name in names_read(item)}
    if isinstance(raw, list):
        return {name for item in raw for name in names_read(item)}
    return {str(path[0]) for path in read_names(_parsed(raw, TEXT))} if is_template(raw) else set()


def names_are_read(raw: Any) -> bool:
    """Whether there is a template anywhere in a JSON value."""
    if isinstance(raw, Mapping):
        return any(names_are_read(item) for item in raw.values())
    if isinstance(raw, list):
        return any(names_are_read(item) for item in raw)
    return is_template(raw)


def segments_read(raw: Any, *, own: bool = False) -> list[tuple[Any, ...]]:
    """The names that the templates in a JSON value read, part by part; with `own` also those that they give
    themselves. A part that is no text is computed, or a place in a list."""
    if isinstance(raw, Mapping):
        return [path for item in raw.values() for path in segments_read(item, own=own)]
    if isinstance(raw, list):
        return [path for item in raw for path in segments_read(item, own=own)]
    if not is_template(raw):
        return []
    template = _parsed(raw, TEXT)
    return [tuple(path) for path in template.variable_segments()] if own else list(read_names(template))


def paths_read(raw: Any) -> set[str]:
    """The names, written out in full, that the templates in a JSON value read."""
    if isinstance(raw, Mapping):
        return {name for item in raw.values() for name in paths_read(item)}
    if isinstance(raw, list):
        return {name for item in raw for name in paths_read(item)}
    if not is_template(raw):
        return set()
    return {".".join(str(part) for part in path) for path in read_names(_parsed(raw, TEXT))}
