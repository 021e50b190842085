"""What an entity's records can be asked over HTTP: one class per reason to change."""

from collections.abc import Mapping
from typing import Any, ClassVar

import orjson
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission, role_allows
from core.api import bulk_requests, listing, preconditions
from core.api.bodies import takes_no_body
from core.api.paging import numbered
from core.api.parameters import flag, record_id
from core.api.rendering import dumps
from core.changes.history import of_record, presented
from core.entities import Entity, writing
from core.entities.cleaning import warnings_of
from core.entities.duplicates import possible_duplicates, refuse_duplicates
from core.entities.reading import Reader
from core.errors import ForbiddenError, NotVisibleError
from core.models.record import etag_of


class RecordMixin:
    """What all of them need: the entity, its policy, and single records as an answer."""

    entity: Entity

    @property
    def policy(self) -> Any:
        return self.entity.model.policy

    def seen(self, request: Request, pk: str) -> int:
        """The id of a record the user may see, archived or not. Raises NotVisibleError."""
        rows = self.entity.visible_to(request.user).filter(pk=record_id(pk))
        if not rows.exists():
            raise NotVisibleError("Not found.")
        return int(pk)

    def shown(self, request: Request, pk: int, status: int = 200, **more: Any) -> Response:
        """One record as lists show it, with its entity tag."""
        params = listing.single_valued(request)
        reader = Reader(self.entity, **listing.shape(params))
        rows = self.entity.visible_to(request.user).filter(pk=pk, **listing.archived(params))
        return record_response(reader, rows, request, status, more)


class ReadMixin(RecordMixin):
    """List, retrieve, statistics."""

    def list(self, request: Request) -> Response:
        return Response(listing.page(listing.listing(self.entity, request), request).body())

    def retrieve(self, request: Request, pk: str) -> Response:
        return self.shown(request, record_id(pk))

    @action(methods=["get"], detail=False)
    def statistics(self, request: Request) -> Response:
        return Response(listing.figures(self.entity, request).statistics())


class WriteMixin(RecordMixin):
    """Create, update, archive, restore, delete."""

    def create(self, request: Request) -> Response:
        values = writing.clean(self.entity, request.data, user=request.user)
        twins = possible_duplicates(self.entity, values, request.user)
        refuse_duplicates(request.query_params.get("on_duplicate", ""), twins)
        record = writing.create_clean(self.entity, values, request.user)
        more = {} if twins is None else {"possible_duplicates": twins}
        return self.shown(request, record.pk, 201, **more, **self._warnings(record, request))

    def update(self, request: Request, pk: str, *, partial: bool = False) -> Response:
        record = writing.locked(self.entity, record_id(pk), request.user)
        preconditions.check(request, record)
        writing.update_from_input(self.entity, record, request.data, request.user, partial=partial)
        return self.shown(request, record.pk, **self._warnings(record, request))

    def _warnings(self, record: Any, request: Request) -> dict[str, Any]:
        """What was taken and is doubtful, such as a phone number that nobody can place."""
        found = warnings_of(self.entity, record, request.data)
        return {"warnings": found} if found else {}

    def partial_update(self, request: Request, pk: str) -> Response:
        return self.update(request, pk, partial=True)

    def destroy(self, request: Request, pk: str) -> Response:
        """Archive; with `hard=true` an administrator deletes for good."""
        hard = flag(request, "hard")
        if hard and not role_allows(request.user, Permission.HARD_DELETE):
            raise ForbiddenError("Only administrators delete for good.")
        archived = hard and listing.wants_archived(request)
        record = writing.locked(
            self.entity, record_id(pk), request.user, Permission.DELETE, archived=archived
        )
        preconditions.check(request, record)
        writing.delete(record) if hard else writing.archive(record)
        return Response(status=204)

    @action(methods=["post"], detail=True)
    @takes_no_body
    def restore(self, request: Request, pk: str) -> Response:
        record = writing.locked(self.entity, record_id(pk), request.user, archived=True)
        preconditions.check(request, record)
        writing.restore(record)
        return self.shown(request, record.pk)


class BulkMixin(RecordMixin):
    """Many records at once, an answer for each."""

    sources: ClassVar[Mapping[str, str]] = {"bulk_update": "bulk", "assign": "bulk"}

    @action(methods=["post"], detail=False)
    def bulk_update(self, request: Request) -> Response:
        return bulk_requests.run(self.entity, request)

    @action(methods=["post"], detail=False)
    def assign(self, request: Request) -> Response:
        return bulk_requests.assign(self.entity, request)


class HistoryMixin(RecordMixin):
    """What changed in a record."""

    @action(methods=["get"], detail=True)
    def history(self, request: Request, pk: str) -> Response:
        record = self.seen(request, pk)
        names = {self.entity.name: self.entity.public_names}
        changes = of_record(self.entity, record)
        return Response(numbered(request, changes, lambda rows: presented(rows, names)).body())


def record_response(
    reader: Reader, rows: Any, request: Request, status: int, more: Mapping[str, Any]
) -> Response:
    """The one record in `rows`; 304 where the client has this version already."""
    found = rows.values_list("pk", "version").first()
    if not found:
        raise NotVisibleError("Not found.")
    pk, version = found
    headers = {"ETag": etag_of(pk, version)}
    if status == 201:
        headers["Location"] = request.build_absolute_uri(f"{request.path.rstrip('/')}/{pk}/")
    if request.method == "GET" and headers["ETag"] in request.headers.get("If-None-Match", ""):
        return Response(status=304, headers=headers)
    [document] = reader.documents([pk], request.user)
    return Response(orjson.loads(dumps(document)) | more if more else document, status, headers=headers)
