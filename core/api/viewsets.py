"""The strong base: every entity's viewset is this one with its serializer and its FilterSet named and its own
verbs added."""

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any, ClassVar, cast

import orjson
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet, ViewSet

from core.access import Permission, VisibleQuerySet, role_allows
from core.api import preconditions
from core.api.bodies import takes_no_body
from core.api.bulk import AssignSerializer, BulkResultSerializer, BulkSerializer
from core.api.entity_pagination import EntityPagination
from core.api.filter_backends import (
    EntityFilterBackend,
    EntityOrderingFilter,
    EntitySearchFilter,
    VisibleRowsFilter,
)
from core.api.pagination import numbered
from core.api.parameters import GROUPED, PAGES, KnownParametersMixin, flag, record_id
from core.api.permissions import PolicyPermission
from core.api.problems import CONTENT_TYPE as PROBLEM
from core.api.problems import problem
from core.api.rendering import dumps
from core.api.schema import CrmSchema, EntitySchema
from core.api.serializers import EntitySerializer, StatisticsSerializer
from core.api.transactions import TransactionMixin
from core.api.upserts import (
    BulkWriter,
    BulkWriteResultSerializer,
    BulkWriteSerializer,
    external_id_of,
    upsert,
    with_external_id,
)
from core.changes import archived
from core.changes.history import of_record, presented
from core.conditions.filters import EntityFilterSet
from core.conditions.list_query import is_narrowed, names_in, sparse_fields
from core.conf import reading_database
from core.entities import Entity, aliases, grouping, writing
from core.entities.cleaning import warnings_of
from core.entities.duplicate_rules import warnings_of_rules, with_findings
from core.entities.duplicates import possible_duplicates, refuse_duplicates
from core.entities.lookups import Lookups
from core.errors import ForbiddenError, InvalidError, NotVisibleError, StaleVersionError
from core.models.record import etag_of


class CrmViewSet(KnownParametersMixin, TransactionMixin, ViewSet):
    """Base of viewsets without rows of their own: authenticated, asked of the policy, writing in one
    transaction."""

    permission_classes = [PolicyPermission]
    schema = CrmSchema()
    # Names of own routes → the permission their policy is asked for; others follow the method.
    action_permissions: Mapping[str, str] = {}


SHAPE = {"fields", "expand"}


class EntityViewSet(KnownParametersMixin, TransactionMixin, GenericViewSet):
    """List, create, retrieve, update, archive, restore, delete, bulk changes, history, statistics.

    A subclass names its `queryset`, `serializer_class` and `filterset_class`. Lists go through the filter
    backends and the paginator; the serializer has PostgreSQL write their rows as JSON.
    """

    serializer_class: type[EntitySerializer]
    # What `get_statistics` gives, for the OpenAPI document.
    statistics_serializer_class: type[StatisticsSerializer] = StatisticsSerializer
    filterset_class: type[EntityFilterSet]
    filterset: EntityFilterSet
    permission_classes = [PolicyPermission]
    filter_backends = [EntityFilterBackend, EntitySearchFilter, EntityOrderingFilter, VisibleRowsFilter]
    search_fields: Collection[str] = ("search_text", "custom_fields")
    ordering_fields: Any = "__all__"
    pagination_class = EntityPagination
    schema = EntitySchema()
    sources: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("bulk_update", "bulk_create", "bulk_upsert", "assign"), "bulk"
    )
    action_permissions: Mapping[str, str] = {
        "bulk_update": Permission.CHANGE,
        "assign": Permission.CHANGE,
        "restore": Permission.DELETE,
        # A record that is there must be the user's to change as well.
        "upsert": Permission.ADD,
        "partial_upsert": Permission.ADD,
    }
    # None: the filter backend refuses what is unknown.
    allowed_query_params: Mapping[str, Collection[str] | None] = {
        **dict.fromkeys(("list", "statistics")),
        "create": SHAPE | {"on_duplicate"},
        "retrieve": SHAPE | {"archived"},
        "update": SHAPE,
        "partial_update": SHAPE,
        "restore": SHAPE,
        **dict.fromkeys(("by_external_id", "upsert", "partial_upsert"), SHAPE),
        "destroy": {"hard", "archived"},
        "history": PAGES | {"field"},
    }
    # By action: parameters beside the list's filters that the action reads itself.
    unfiltered_params: Mapping[str, Collection[str]] = {"statistics": GROUPED}

    @property
    def entity(self) -> Entity:
        """The entity as whoever asks knows it; the whole one where nobody does, as for the OpenAPI
        document."""
        whole = self.serializer_class.Meta.entity
        request = getattr(self, "request", None)
        return whole if request is None else whole.for_user(request.user)

    @property
    def policy(self) -> Any:
        return self.entity.model.policy

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        """The serializer, showing the fields and expanding the references that the request names."""
        params = self.request.query_params
        listed = getattr(self, "filterset", None)
        kwargs.setdefault("fields", sparse_fields(params, listed) if listed else names_in(params, "fields"))
        kwargs.setdefault("expand", names_in(params, "expand"))
        return super().get_serializer(*args, **kwargs)

    def get_object(self) -> Any:
        """The record in the address: to be read, or under lock and within what the user may change."""
        pk = record_id(self.kwargs["pk"])
        if self.request.method != "GET":
            return writing.locked(self.entity, pk, self.request.user)
        rows = cast(VisibleQuerySet, self.get_queryset())
        found = rows.visible_to(self.request.user).filter(pk=pk).first()
        if found is None:
            raise NotVisibleError(_("Not found."))
        return found

    def filtered_rows(self) -> Any:
        """The rows that the list's filters name, for statistics: from the replica where there is one."""
        return self.filter_queryset(self.get_queryset()).order_by().using(reading_database())

    @property
    def is_whole(self) -> bool:
        """Whether the list has every row that the user sees: no filter, no search, and nothing that a
        subclass leaves out. Of such a list the number of rows is kept."""
        narrowed = is_narrowed(self.filterset) or self.get_queryset().query.where
        return not narrowed and self.filter_backends == EntityViewSet.filter_backends

    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    def retrieve(self, request: Request, pk: str) -> Response:
        rows = self._by_archive_mark(self.entity.visible_to(request.user).filter(pk=record_id(pk)))
        try:
            return self._respond(rows)
        except NotVisibleError:
            return self._moved(request, aliases.survivor_of(self.entity, record_id(pk)))

    def _moved(self, request: Request, survivor: int | None) -> Response:
        """301 to the record that the one asked for was merged into. Raises NotVisibleError, also where the
        user does not see that one."""
        rows = self.entity.visible_to(request.user).filter(pk=survivor, archived_at=None)
        if survivor is None or not rows.exists():
            raise NotVisibleError(_("Not found."))
        address = request.build_absolute_uri(f"/api/v1/{self.entity.plural}/{survivor}/")
        document = problem(
            301,
            "merged",
            _("It was merged into %(survivor)s.") % {"survivor": survivor},
            request,
            merged_into=survivor,
        )
        return Response(document, 301, headers={"Location": address}, content_type=PROBLEM)

    def create(self, request: Request) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        twins = possible_duplicates(self.entity, serializer.validated_data, request.user)
        on_duplicate = request.query_params.get("on_duplicate", "")
        refuse_duplicates(on_duplicate, twins)
        record = serializer.save()
        twins = with_findings(self.entity, twins, record)
        refuse_duplicates(on_duplicate, twins)
        more = {} if twins is None else {"possible_duplicates": twins}
        return self.shown(request, record.pk, 201, **more, **self._warnings(record))

    def update(self, request: Request, pk: str, *, partial: bool = False) -> Response:
        record = self.get_object()
        preconditions.check(request, record)
        serializer = self.get_serializer(record, data=request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        serializer.save()
        return self.shown(request, record.pk, **self._warnings(record))

    def partial_update(self, request: Request, pk: str) -> Response:
        return self.update(request, pk, partial=True)

    def destroy(self, request: Request, pk: str) -> Response:
        """Archive the record; with `hard=true` an administrator deletes it for good."""
        hard = flag(request, "hard")
        if hard and not role_allows(request.user, Permission.HARD_DELETE):
            raise ForbiddenError(_("Only administrators delete for good."))
        archived = hard and flag(request, "archived")
        record = writing.locked(
            self.entity, record_id(pk), request.user, Permission.DELETE, archived=archived
        )
        preconditions.check(request, record)
        writing.delete(record) if hard else writing.archive(record)
        return Response(status=204)

    @action(methods=["post"], detail=True)
    @takes_no_body
    def restore(self, request: Request, pk: str) -> Response:
        """Restore an archived record; for users who may archive it."""
        record = writing.locked(self.entity, record_id(pk), request.user, Permission.DELETE, archived=True)
        preconditions.check(request, record)
        writing.restore(record)
        return self.shown(request, record.pk)

    @extend_schema(request=BulkSerializer, responses={200: BulkResultSerializer, 207: BulkResultSerializer})
    @action(methods=["post"], detail=False)
    def bulk_update(self, request: Request) -> Response:
        """Change, archive or assign many records; each has its own result."""
        return self._bulk(BulkSerializer)

    @extend_schema(request=AssignSerializer, responses={200: BulkResultSerializer, 207: BulkResultSerializer})
    @action(methods=["post"], detail=False)
    def assign(self, request: Request) -> Response:
        """Assign records to one user, or to several in turn or by their number of open records."""
        return self._bulk(AssignSerializer)

    @extend_schema(responses={200: BulkWriteResultSerializer, 207: BulkWriteResultSerializer})
    @action(methods=["post"], detail=False)
    def bulk_create(self, request: Request) -> Response:
        """Create up to 1,000 records; each has its own result."""
        given = self._items()
        return self._written(self._writer(given).create(given["items"]))

    @extend_schema(responses={200: BulkWriteResultSerializer, 207: BulkWriteResultSerializer})
    @action(methods=["post"], detail=False)
    def bulk_upsert(self, request: Request) -> Response:
        """Create or change up to 1,000 records by their external ids; each has its own result."""
        given = self._items()
        return self._written(self._writer(given).upsert(given["items"]))

    @action(methods=["get"], detail=False, url_path="by_external_id/(?P<external_id>.+?)")
    def by_external_id(self, request: Request, external_id: str) -> Response:
        """Read the record with this external id."""
        rows = self.entity.visible_to(request.user).filter(archived_at=None)
        key = external_id_of(self.entity, external_id)
        try:
            return self._respond(rows.filter(external_id=key))
        except NotVisibleError:
            return self._respond(rows.filter(pk=aliases.known_by(self.entity, key)))

    @by_external_id.mapping.put
    def upsert(self, request: Request, external_id: str) -> Response:
        """Replace the record with this external id, or create it."""
        return self._upserted(request, external_id, partial=False)

    @by_external_id.mapping.patch
    def partial_upsert(self, request: Request, external_id: str) -> Response:
        """Change the given fields of the record with this external id, or create it."""
        return self._upserted(request, external_id, partial=True)

    @action(methods=["get"], detail=False)
    def statistics(self, request: Request) -> Response:
        """Totals of the records that match the list's filters. With `group_by` or `metrics` also figures of
        each group."""
        return Response(self.get_totals() | self.get_groups())

    def get_totals(self) -> dict[str, Any]:
        """The figures without those that tell of hidden fields."""
        entity = self.entity
        found = self.get_statistics()
        return {name: one for name, one in found.items() if entity.figures.get(name) not in entity.hidden}

    def get_statistics(self) -> dict[str, Any]:
        return self.filtered_rows().statistics()

    def get_groups(self) -> dict[str, Any]:
        """`groups`, where they are asked for."""
        by, measured = (names_in(self.request.query_params, name) for name in GROUPED)
        if not by and not measured:
            return {}
        dimensions = grouping.dimensions(self.entity, by, self.request.user)
        metrics = grouping.metrics(self.entity, measured)
        return {"groups": grouping.grouped(self.entity, self.filtered_rows(), dimensions, metrics)}

    @action(methods=["get"], detail=True)
    def history(self, request: Request, pk: str) -> Response:
        """What was changed in the record, when and by whom, newest first; with `field` only what was changed
        in that one."""
        record = self.seen(request, pk)
        changes = of_record(self.entity, record)
        field = request.query_params.get("field", "")
        if field:
            changes = changes.filter(changes__has_key=self._stored(field))
        by_name = {self.entity.name: self.entity}
        page = numbered(request, changes, lambda rows: presented(rows, by_name))
        return Response(page.body() | ({} if page.next else archived.of_record(self.entity, record)))

    def _stored(self, field: str) -> str:
        """The column that a field is recorded under; custom fields are recorded together. Raises
        InvalidError."""
        stored = {public: column for column, public in self.entity.public_names.items()}
        if field not in stored:
            raise InvalidError.unknown("field", sorted(stored), "unknown")
        return stored[field]

    def seen(self, request: Request, pk: str) -> int:
        """The id of a record the user may see, archived or not. Raises NotVisibleError."""
        if not self.entity.visible_to(request.user).filter(pk=record_id(pk)).exists():
            raise NotVisibleError(_("Not found."))
        return int(pk)

    def shown(self, request: Request, pk: int, status: int = 200, **more: Any) -> Response:
        """One record as lists show it, with its entity tag."""
        rows = self.entity.visible_to(request.user).filter(pk=pk, archived_at=None)
        return self._respond(rows, status, **more)

    def _respond(self, rows: QuerySet, status: int = 200, **more: Any) -> Response:
        """The one record in `rows`; 304 where the client has this version already."""
        request = self.request
        found = rows.values_list("pk", "version").first()
        if not found:
            raise NotVisibleError(_("Not found."))
        pk, version = found
        headers = {"ETag": etag_of(pk, version)}
        if status == 201:
            headers["Location"] = request.build_absolute_uri(f"/api/v1/{self.entity.plural}/{pk}/")
        if request.method == "GET" and headers["ETag"] in request.headers.get("If-None-Match", ""):
            return Response(status=304, headers=headers)
        document = self.get_serializer(pk).data
        return Response(orjson.loads(dumps(document)) | more if more else document, status, headers=headers)

    def _by_archive_mark(self, rows: QuerySet) -> QuerySet:
        """`archived` of one record: as in a list."""
        asked = {key: value for key, value in self.request.query_params.items() if key == "archived"}
        return self.filterset_class(asked, rows, request=self.request).checked

    def _warnings(self, record: Any) -> dict[str, Any]:
        """What was taken and is doubtful: a phone number that nobody can place, a possible duplicate."""
        found = [*warnings_of(self.entity, record, self.request.data), *warnings_of_rules(record)]
        return {"warnings": found} if found else {}

    def _upserted(self, request: Request, external_id: str, *, partial: bool) -> Response:
        """Answers 201 with a new record, 200 with one that was there."""

        def check(record: Any) -> None:
            if record is not None:
                preconditions.check(request, record)
            elif "If-Match" in request.headers:
                raise StaleVersionError(_("There is no record of this external id."), "")

        key = external_id_of(self.entity, external_id)
        data = with_external_id(self.entity, key, request.data)
        record, is_new = upsert(
            self.get_serializer, self.entity, request.user, data, partial=partial, check=check
        )
        return self.shown(request, record.pk, 201 if is_new else 200, **self._warnings(record))

    def _items(self) -> dict[str, Any]:
        serializer = BulkWriteSerializer(data=self.request.data)
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data

    def _writer(self, given: Mapping[str, Any]) -> BulkWriter:
        """Writes the items by this view's serializer; what they refer to is looked up once for all."""
        user = self.request.user
        context = {**self.get_serializer_context(), "lookups": Lookups(user)}
        serializer_for = partial(self.serializer_class, context=context)
        return BulkWriter(serializer_for, self.entity, user, atomic=given["mode"] == "atomic")

    def _written(self, answer: dict[str, Any]) -> Response:
        return Response(answer, 207 if answer["failed"] else 200)

    def _bulk(self, serializer_class: Any) -> Response:
        context = {**self.get_serializer_context(), "entity": self.entity}
        serializer = serializer_class(data=self.request.data, context=context)
        serializer.is_valid(raise_exception=True)
        answer = serializer.save()
        return Response(answer, 207 if answer["errors"] else 200)
