"""Boards: the records of a list as cards in columns, moved with the mouse or the keyboard.

Rows, rights, filters and search are those of the list; a move is a change as the API makes it, refused where
somebody changed the record since it was drawn. A page says which columns there are and what a card shows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ALL_VAR, ERROR_FLAG, ORDER_VAR, PAGE_VAR
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, QueryDict
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from core import labels
from core.admin.filters_shown import chips
from core.admin.records import RecordAdmin
from core.entities import writing
from core.errors import ConflictError, DomainError, InvalidError, NotVisibleError

# Cards of a column that are drawn at once.
CARDS = 25
# A column is counted so far.
COUNTED = 1_000
# Parameters of the board itself; all others are the list's.
COLUMN, AFTER = "column", "after"
# Parameters of a list that a board has no use for: its page, its order, and that it was refused.
OF_PAGES = (PAGE_VAR, ALL_VAR, ORDER_VAR, ERROR_FLAG)


@dataclass(frozen=True)
class BoardColumn:
    """One column: which rows stand in it, in which order, and the fields that a card moved here gets.

    Without `values` no card is moved here. `asks` names a field that is asked for then, with what may be
    chosen (any text where nothing is named).
    """

    key: str
    title: Any
    rows: Q
    order: Sequence[Any]
    values: Mapping[str, Any] | None = None
    asks: str = ""
    choices: Sequence[str] = ()
    tone: str = "neutral"

    @property
    def asks_title(self) -> str:
        return labels.titled(self.asks)


@dataclass(frozen=True)
class ColumnFigures:
    """How many cards a column has, and what they come to in words."""

    count: str
    details: Sequence[str] = ()


@dataclass(frozen=True)
class Card:
    """What is drawn of one record."""

    pk: int
    title: str
    url: str
    version: int
    may_move: bool
    lines: Sequence[Any] = ()
    badges: Sequence[Any] = ()
    # Keys of columns that it is not moved to.
    barred: Sequence[str] = ()


@dataclass(frozen=True)
class DrawnColumn:
    column: BoardColumn
    figures: ColumnFigures
    cards: Sequence[Card]
    more: int | None = None


@dataclass(frozen=True)
class BoardChoice:
    """One of several boards of a page, such as a pipeline."""

    title: str
    query: str
    chosen: bool


class BoardAdmin(RecordAdmin):
    """A page of records with a board beside its list."""

    def board_columns(self, request: HttpRequest) -> Sequence[BoardColumn]:
        raise NotImplementedError

    def card_rows(self, rows: QuerySet) -> QuerySet:
        """The rows with what their cards show of others."""
        return rows

    def card_lines(self, request: HttpRequest, record: Any) -> Sequence[Any]:
        """Lines below a card's title; empty ones are left out."""
        return ()

    def card_badges(self, request: HttpRequest, record: Any) -> Sequence[Any]:
        return ()

    def card_barred(self, record: Any) -> Sequence[str]:
        """Keys of the columns that a record is not offered."""
        return ()

    def board_choices(self, request: HttpRequest) -> Sequence[BoardChoice]:
        """The boards of the page, where there are several."""
        return ()

    def narrowed(self, request: HttpRequest, given: QueryDict) -> QueryDict:
        """The parameters of the list that the board shows."""
        return given

    def figures(self, rows: QuerySet, columns: Sequence[BoardColumn]) -> Mapping[str, ColumnFigures]:
        """What stands above each column; counted up to COUNTED."""
        return {column.key: ColumnFigures(_counted(rows.filter(column.rows))) for column in columns}

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(require_http_methods(["GET", "HEAD", "POST"])(self.board_view))
        return [path("board/", view, name=self._board_name()), *super().get_urls()]

    def _board_name(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_board"

    def board_url(self) -> str:
        """The address of the board."""
        return reverse(f"{self.admin_site.name}:{self._board_name()}")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The list, with the way to the board of what it shows."""
        address = f"{self.board_url()}?{request.GET.urlencode()}"
        return super().changelist_view(request, {"board_url": address} | (extra_context or {}))

    def board_view(self, request: HttpRequest) -> HttpResponse:
        """GET: the board, or with `column` and `after` further cards of one column. POST: move a card."""
        given = request.GET.copy()
        key, after = given.pop(COLUMN, [""])[-1], given.pop(AFTER, [""])[-1]
        for name in OF_PAGES:
            given.pop(name, None)
        request.GET = self.narrowed(request, given)  # type: ignore[assignment]
        try:
            rows = self._rows(request)
        except IncorrectLookupParameters:
            return HttpResponseRedirect(self.board_url())
        if request.method == "POST":
            return self._moved(request, rows)
        if key:
            return self._more(request, rows, key, after)
        context = {
            **self.admin_site.each_context(request),
            "title": capfirst(self.opts.verbose_name_plural),
            "opts": self.opts,
            "boards": self.board_choices(request),
            "search": request.GET.get("q", ""),
            "kept": [(name, text) for name, text in request.GET.items() if name != "q"],
            "list_url": f"{self._list_url()}?{request.GET.urlencode()}",
            "chips": chips(request.board_list, request.user),  # type: ignore[attr-defined]
            "columns": self._drawn(request, rows),
            "may_move": self.has_change_permission(request),
            **self.board_views(request),
        }
        return TemplateResponse(request, "admin/core/board.html", context)

    def board_views(self, request: HttpRequest) -> dict[str, Any]:
        """The tabs of saved views; they are saved and deleted beside the list."""
        shown = self.view_context(request, request.board_list)  # type: ignore[attr-defined]
        return {name: shown[name] for name in ("view_tabs", "view_words")}

    def _list_url(self) -> str:
        name = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_changelist"
        return reverse(name)

    def _rows(self, request: HttpRequest) -> QuerySet:
        """What the list shows with the same parameters."""
        request.board_list = self.get_changelist_instance(request)  # type: ignore[attr-defined]
        return request.board_list.queryset.order_by()  # type: ignore[attr-defined]

    def _drawn(self, request: HttpRequest, rows: QuerySet) -> list[DrawnColumn]:
        columns = self.board_columns(request)
        figures = self.figures(rows, columns)
        return [self._column(request, rows, column, figures[column.key]) for column in columns]

    def _column(
        self, request: HttpRequest, rows: QuerySet, column: BoardColumn, figures: ColumnFigures
    ) -> DrawnColumn:
        cards, more = self._cards(request, rows, column, 0)
        return DrawnColumn(column, figures, cards, more)

    def _cards(
        self, request: HttpRequest, rows: QuerySet, column: BoardColumn, after: int
    ) -> tuple[list[Card], int | None]:
        """CARDS of a column behind the first `after`, and where the next ones begin."""
        ordered = self.card_rows(rows.filter(column.rows)).order_by(*column.order)
        found = list(ordered[after : after + CARDS + 1])
        shown = found[:CARDS]
        may = self._changeable(request, shown)
        more = after + CARDS if len(found) > CARDS else None
        return [self._card(request, record, record.pk in may) for record in shown], more

    def _changeable(self, request: HttpRequest, records: Sequence[Any]) -> set[int]:
        """Ids of those that the user may change."""
        if not records or not self.has_change_permission(request):
            return set()
        reached = self.entity.visible_to(request.user, "change").filter(archived_at=None)
        return set(reached.filter(pk__in=[record.pk for record in records]).values_list("pk", flat=True))

    def _card(self, request: HttpRequest, record: Any, may_move: bool) -> Card:
        return Card(
            record.pk,
            str(record),
            self.page_of(record.pk),
            record.version,
            may_move,
            [line for line in self.card_lines(request, record) if line],
            [badge for badge in self.card_badges(request, record) if badge],
            self.card_barred(record),
        )

    def _more(self, request: HttpRequest, rows: QuerySet, key: str, after: str) -> HttpResponse:
        column = next((one for one in self.board_columns(request) if one.key == key), None)
        if column is None or not (after.isdecimal() and len(after) < 7):
            return JsonResponse({"message": _("There is no such column.")}, status=404)
        cards, more = self._cards(request, rows, column, int(after))
        html = render_to_string("admin/core/board_cards.html", {"cards": cards}, request)
        return JsonResponse({"html": html, "more": more})

    def _moved(self, request: HttpRequest, rows: QuerySet) -> HttpResponse:
        """Move a card; the answer is the board as it is then, and what there is to say."""
        try:
            self.acting(request, lambda: self._move(request))
            message, status = "", 200
        except InvalidError as error:
            # The reader sees which field is meant: no name of the code stands before what is wrong.
            message, status = " ".join(issue.message for issue in error.issues), 409
        except DomainError as error:
            message, status = str(error), 409
        context = {"columns": self._drawn(request, rows), "may_move": self.has_change_permission(request)}
        html = render_to_string("admin/core/board_columns.html", context, request)
        return JsonResponse({"html": html, "message": message}, status=status)

    def _move(self, request: HttpRequest) -> HttpResponse:
        pk, version = request.POST.get("id", ""), request.POST.get("version", "")
        columns = {column.key: column for column in self.board_columns(request)}
        column = columns.get(request.POST.get("to", ""))
        if not (pk.isdecimal() and len(pk) < 19) or column is None or column.values is None:
            raise NotVisibleError(_("There is no such card or column."))
        record = writing.locked(self.entity, int(pk), request.user)
        if str(record.version) != version:
            raise ConflictError(_("Somebody changed this record meanwhile: look at it again."))
        asked = {column.asks: request.POST.get("answer", "")} if column.asks else {}
        writing.update_from_input(self.entity, record, {**column.values, **asked}, request.user)
        return HttpResponse()


def _counted(rows: QuerySet) -> str:
    found = rows.order_by()[: COUNTED + 1].count()
    return f"{COUNTED:,}+" if found > COUNTED else f"{found:,}"
