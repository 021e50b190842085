"""/api/v1/search/: one question to the records of every entity."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Policy, scopes
from core.api.counting import Count
from core.api.pagination import PageNumberPagination, make_page, place_of
from core.api.parameters import PAGES, single_valued
from core.api.permissions import SignedIn
from core.api.schema.parts import TEXT
from core.api.viewsets import CrmViewSet
from core.entities.entity import Entity, entities
from core.entities.reading import nested_refs
from core.errors import InvalidError
from core.search.api.serializers import SearchHitSerializer
from core.search.finding import MOST, Hit, find

PARAMETERS = [
    OpenApiParameter("q", TEXT, required=True, description="An id, address, number, or words."),
    OpenApiParameter("type", TEXT, description="Entities, separated by commas; all without it."),
]


class CoversAnEntity(SignedIn):
    """A key may search what its scopes let it read."""

    def _covers(self, request: Request) -> bool:
        return any(scopes.covers(request.user, entity.plural) for entity in entities)


class SearchViewSet(CrmViewSet):
    """Global search."""

    policy = Policy()
    permission_classes = [CoversAnEntity]
    pagination_class = PageNumberPagination
    allowed_query_params = {"list": {"q", "type", *PAGES}}

    @extend_schema(operation_id="search_list", parameters=PARAMETERS, responses=SearchHitSerializer)
    def list(self, request: Request) -> Response:
        """Search the records of all entities that you see. Exact values come first, then words; words with
        typing errors only if nothing else is found. There are at most 1,000 hits; `count` is null if there
        may be more."""
        params = single_valued(request)
        asked = _entities(params.get("type", ""), request.user)
        size, start = place_of(request)
        if start + size > MOST:
            raise InvalidError.of(
                "page", _("A search gives its first %(most)s hits.") % {"most": MOST}, "max_value"
            )
        found = find(asked, request.user, params.get("q", ""), start + size + 1)
        page = make_page(
            request, found[start:], start, size, Count(len(found)), lambda hits: _shown(request, hits)
        )
        # Of what is beyond the page no more than one hit was looked for.
        return Response(replace(page, count=page.count if page.next is None else None).body())


def _entities(names: str, user: Any) -> list[Entity]:
    """Those asked for that the user's key may read. Raises InvalidError, ScopeMissingError."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = entities.keys()
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise InvalidError.of(
            "type", _("Not one of: %(known)s.") % {"known": ", ".join(known)}, "invalid_choice"
        )
    for name in wanted:
        scopes.require(user, entities[name].plural)
    return [
        entity.for_user(user)
        for entity in entities
        if scopes.covers(user, entity.plural) and (not wanted or entity.name in wanted)
    ]


def _shown(request: Request, hits: Sequence[Hit]) -> list[dict[str, Any]]:
    """The hits with their titles, read by one statement for each entity."""
    ids: dict[str, set[int]] = {}
    for hit in hits:
        ids.setdefault(hit.entity.name, set()).add(hit.pk)
    titles = {name: nested_refs(name, pks, request.user) for name, pks in ids.items()}
    return [
        {
            "type": hit.entity.name,
            "id": hit.pk,
            "title": titles[hit.entity.name][hit.pk]["name"],
            "url": request.build_absolute_uri(f"/api/v1/{hit.entity.plural}/{hit.pk}/"),
            "match": hit.match,
        }
        for hit in hits
        if hit.pk in titles[hit.entity.name]
    ]
