"""The timeline over HTTP: its parameters and its cursor."""

from typing import Any

from django.core import signing
from django.utils.translation import gettext as _
from rest_framework.request import Request

from core.api import pagination
from core.api.parameters import int_param, single_valued
from core.changes import timeline
from core.changes.timeline import RecordRef, TimelineQuery
from core.entities.field_types import DateTime, Text
from core.errors import InvalidError, refused_as

SALT = "crm.timeline"
WORD = Text(max_length=100)
PARAMETERS = frozenset(("kind", "type", "since", "until", "actor", "page_size", "cursor"))


def page(request: Request, subject: RecordRef) -> pagination.Page:
    """The page of the record's timeline that the request asks for. Raises InvalidError."""
    query = _timeline_query(request)
    size = pagination.page_size(request)
    entries, behind = timeline.page(subject, query, _positions(request), size)
    token = (
        signing.dumps([pagination.fingerprint(request), behind], salt=SALT, compress=True) if behind else None
    )
    return pagination.Page(entries, pagination.address(request, cursor=token) if token else None, None, None)


def _timeline_query(request: Request) -> TimelineQuery:
    params = single_valued(request)
    kinds = _words(params, "kind")
    known = timeline.sources.keys()
    if kinds - set(known):
        raise InvalidError.of("kind", _("Known: %(known)s.") % {"known": ", ".join(known)}, "invalid_choice")
    return TimelineQuery(
        kinds,
        _words(params, "type"),
        _moment(params, "since"),
        _moment(params, "until"),
        int_param(request, "actor"),
    )


def _words(params: dict[str, str], name: str) -> frozenset[str]:
    with refused_as(name):
        return frozenset(WORD.to_internal_value(word) for word in params.get(name, "").split(",") if word)


def _moment(params: dict[str, str], name: str) -> Any:
    text = params.get(name, "")
    with refused_as(name):
        return DateTime().to_internal_value(text) if text else None


def _positions(request: Request) -> dict[str, Any]:
    text = request.query_params.get("cursor", "")
    if not text:
        return {}
    try:
        fingerprint, positions = signing.loads(text, salt=SALT)
    except (signing.BadSignature, ValueError, TypeError):
        raise InvalidError.of("cursor", _("Not a cursor given out here.")) from None
    if fingerprint != pagination.fingerprint(request):
        raise InvalidError.of("cursor", _("This cursor belongs to other filters."))
    return positions
