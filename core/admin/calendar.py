"""The calendar: what is due on which day, of every kind of record that has such a day, by month or week.

Apps register what stands in it. Moving something to another day is a change as any other: with the rights and
rules of the API, refused where somebody changed the record since it was drawn.
"""

import calendar as months
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from babel.dates import format_date
from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.utils import formats, timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core.admin.formats import locale
from core.admin.home import mine
from core.admin.navigation import SELL, Link, Menu, links
from core.admin.pages import pages
from core.entities import Entity, entities, writing
from core.errors import ConflictError, DomainError, NotVisibleError
from core.registry import Registry

# What is read of one kind for one page, and what a day of a month shows before it says how many more.
READ, SHOWN = 1_000, 5
MONTH, WEEK = "month", "week"


@dataclass(frozen=True)
class CalendarSource:
    """A kind of record that stands in the calendar: on the day of `moment`, where it meets `rows`."""

    title: Any
    icon: str
    moment: str
    rows: Q = field(default_factory=Q)


# By the name of the entity.
sources: Registry[CalendarSource] = Registry("source of the calendar")


@dataclass(frozen=True)
class CalendarItem:
    """What is drawn of one record."""

    key: str
    version: int
    title: str
    url: str
    icon: str
    kind: Any
    time: str
    late: bool
    may_move: bool


@dataclass(frozen=True)
class CalendarDay:
    day: date
    title: str
    within: bool
    today: bool
    items: Sequence[CalendarItem]
    more: int


@dataclass(frozen=True)
class Span:
    """The days of a page, and the pages before and after it."""

    view: str
    first: date
    days: tuple[date, ...]
    title: str
    before: date
    after: date

    def within(self, day: date) -> bool:
        return self.view == WEEK or day.month == self.first.month


def span_of(view: str, text: str) -> Span:
    """The month or week that a day is in; today's where none is named."""
    day = _day(text) or timezone.localdate()
    first_weekday = locale().first_week_day
    if view == WEEK:
        start = day - timedelta(days=(day.weekday() - first_weekday) % 7)
        days = tuple(start + timedelta(days=count) for count in range(7))
        title = _("Week of %(day)s") % {"day": format_date(start, "long", locale=locale())}
        return Span(WEEK, start, days, title, start - timedelta(days=7), start + timedelta(days=7))
    first = day.replace(day=1)
    weeks = months.Calendar(first_weekday).monthdatescalendar(first.year, first.month)
    title = format_date(first, "LLLL yyyy", locale=locale())
    after = (first + timedelta(days=32)).replace(day=1)
    before = (first - timedelta(days=1)).replace(day=1)
    return Span(MONTH, first, tuple(one for week in weeks for one in week), title, before, after)


def _day(text: str) -> date | None:
    """A day that has others before and after it."""
    try:
        found = parse_date(text)
    except ValueError:
        return None
    return found if found and 1900 <= found.year <= 2200 else None


def calendar_view(request: HttpRequest) -> HttpResponse:
    """GET: a month or a week. POST: move a record to another day; answered with the days as they are then."""
    span = span_of(request.GET.get("view", MONTH), request.GET.get("day", ""))
    if request.method == "POST":
        return _moved(request, span)
    kept = {"view": span.view} | ({"who": "all"} if _everyone(request) else {})
    context = {
        **admin.site.each_context(request),
        "title": _("Calendar"),
        "content_title": _("Calendar"),
        "span": span,
        **drawn(request, span),
        "weekdays": [format_date(day, "EEE", locale=locale()) for day in span.days[:7]],
        "before": urlencode(kept | {"day": span.before}),
        "after": urlencode(kept | {"day": span.after}),
        "today": urlencode(kept),
        "by_month": urlencode(kept | {"view": MONTH, "day": span.days[len(span.days) // 2]}),
        "by_week": urlencode(kept | {"view": WEEK, "day": _in_week(span)}),
        "of_mine": urlencode({"view": span.view, "day": span.first}),
        "of_all": urlencode({"view": span.view, "day": span.first, "who": "all"}),
        "kinds": [source for _name, _entity, source in _sources(request.user)],
    }
    return TemplateResponse(request, "admin/core/calendar.html", context)


def _in_week(span: Span) -> date:
    today = timezone.localdate()
    return today if today in span.days else span.first


def _everyone(request: HttpRequest) -> bool:
    return request.GET.get("who") == "all"


def drawn(request: HttpRequest, span: Span) -> dict[str, Any]:
    """What the days of the page are drawn of, by one statement for each kind and one for what may be moved of
    it; and of which kind not all was read, from which day on."""
    found: dict[date, list[tuple[Any, CalendarItem]]] = {}
    cut = []
    for name, entity, source in _sources(request.user):
        records = _records(request, span, entity, source)
        if len(records) > READ:
            moment = getattr(records.pop(), source.moment)
            cut.append((source.title, _day_of(moment)))
        for moment, item in _items(request, name, entity, source, records):
            found.setdefault(timezone.localtime(moment).date(), []).append((moment, item))
    shown = READ if span.view == WEEK else SHOWN
    return {
        "days": [
            _drawn(day, span, sorted(found.get(day, ()), key=lambda pair: pair[0]), shown)
            for day in span.days
        ],
        "cut": [
            _("%(kind)s: from %(day)s on not all are shown, for there are more than %(n)s.")
            % {"kind": title, "day": day, "n": formats.number_format(READ, force_grouping=True)}
            for title, day in cut
        ],
        "week": span.view == WEEK,
        "everyone": _everyone(request),
    }


def _day_of(moment: datetime) -> str:
    return format_date(timezone.localtime(moment).date(), "long", locale=locale())


def _drawn(day: date, span: Span, found: Sequence[tuple[Any, CalendarItem]], shown: int) -> CalendarDay:
    return CalendarDay(
        day,
        format_date(day, "full", locale=locale()),
        span.within(day),
        day == timezone.localdate(),
        [item for _moment, item in found[:shown]],
        max(0, len(found) - shown),
    )


def _sources(user: Any) -> list[tuple[str, Entity, CalendarSource]]:
    """Those whose day is not hidden from the user."""
    found = [(name, entities[name].for_user(user), sources[name]) for name in sources.keys()]  # noqa: SIM118
    return [one for one in found if one[2].moment not in one[1].hidden]


def _records(request: HttpRequest, span: Span, entity: Entity, source: CalendarSource) -> list[Any]:
    """Those of one kind in their order, one more than are shown."""
    page: Any = admin.site._registry[entity.model]
    start, end = _midnight(span.days[0]), _midnight(span.days[-1] + timedelta(days=1))
    between = {f"{source.moment}__gte": start, f"{source.moment}__lt": end}
    rows = page.get_queryset(request).filter(source.rows, archived_at=None, **between)
    if not _everyone(request):
        rows = rows.filter(mine(request.user))
    return list(rows.order_by(source.moment, "pk")[: READ + 1])


def _items(
    request: HttpRequest, name: str, entity: Entity, source: CalendarSource, records: Sequence[Any]
) -> Iterator[tuple[Any, CalendarItem]]:
    page: Any = admin.site._registry[entity.model]
    movable = _movable(request, page, entity, source, records)
    for record in records:
        moment = getattr(record, source.moment)
        yield (
            moment,
            CalendarItem(
                f"{name}-{record.pk}",
                record.version,
                str(record),
                page.page_of(record.pk),
                source.icon,
                source.title,
                formats.time_format(timezone.localtime(moment), "TIME_FORMAT"),
                moment < timezone.now(),
                record.pk in movable,
            ),
        )


def _movable(
    request: HttpRequest, page: Any, entity: Entity, source: CalendarSource, records: Sequence[Any]
) -> set[int]:
    """Ids of those that the user may move."""
    if not records or not entity.by_name[source.moment].writable or not page.has_change_permission(request):
        return set()
    reached = entity.visible_to(request.user, "change").filter(archived_at=None)
    return set(reached.filter(pk__in=[record.pk for record in records]).values_list("pk", flat=True))


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time()))


def _moved(request: HttpRequest, span: Span) -> HttpResponse:
    name, _sep, pk = request.POST.get("id", "").rpartition("-")
    day = _day(request.POST.get("to", ""))
    try:
        if name not in sources or not (pk.isdecimal() and len(pk) < 19) or day is None:
            raise NotVisibleError(_("There is no such record or day."))
        page: Any = admin.site._registry[entities[name].model]
        version = request.POST.get("version", "")
        page.acting(request, lambda: _move(request, name, int(pk), version, day))
        message, status = "", 200
    except DomainError as error:
        message, status = str(error), 409
    html = render_to_string("admin/core/calendar_days.html", drawn(request, span), request)
    return JsonResponse({"html": html, "message": message}, status=status)


def _move(request: HttpRequest, name: str, pk: int, version: str, day: date) -> HttpResponse:
    """To the same time of the other day, where the user is."""
    entity, source = entities[name], sources[name]
    record = writing.locked(entity, pk, request.user)
    if str(record.version) != version:
        raise ConflictError(_("Somebody changed this record meanwhile: look at it again."))
    moment = getattr(record, source.moment)
    clock = timezone.localtime(moment).time() if moment else time(9)
    given = timezone.make_aware(datetime.combine(day, clock)).isoformat()
    writing.update_from_input(entity, record, {source.moment: given}, request.user)
    return HttpResponse()


pages.register("calendar", calendar_view)
links.register("calendar", Link(Menu(SELL, "calendar_month", 55), gettext_lazy("Calendar"), "admin-calendar"))
