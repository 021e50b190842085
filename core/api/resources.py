"""The base of everything over HTTP that is no entity: pipelines, custom fields, saved views, templates."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError as ModelError
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError, QuerySet
from django.utils.translation import gettext as _
from rest_framework import mixins, serializers
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from core.access import Permission
from core.api import preconditions
from core.api.filter_backends import ResourceFilterBackend, ResourceOrderingFilter
from core.api.pagination import PageNumberPagination
from core.api.parameters import KnownParametersMixin, flag, record_id
from core.api.permissions import PolicyPermission, action_of
from core.api.strict import StrictFieldsMixin
from core.api.transactions import TransactionMixin
from core.entities.usage import check_renaming, release_row
from core.errors import ConflictError, FieldIssue, ForbiddenError, NotVisibleError
from core.models.uniqueness import violated_fields


class StrictSerializer(StrictFieldsMixin, serializers.ModelSerializer):
    """A ModelSerializer that refuses unknown fields and asks the model's own `clean()`."""

    @property
    def model(self) -> Any:
        return self.Meta.model

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """The model's rules, and the serializer's own, over the fields as they would be."""
        many = {f.name for f in self.model._meta.many_to_many}
        values = (
            {f.attname: getattr(self.instance, f.attname) for f in self._stored()} if self.instance else {}
        )
        probe = self.model(**values)
        for name, value in attrs.items():
            if name not in many:
                setattr(probe, name, value)
        try:
            probe.clean()
        except ModelError as error:
            raise ValidationError(serializers.as_serializer_error(error)) from error
        self.check(probe)
        if self.instance is not None:
            check_renaming(self.instance, probe)
        return {name: value if name in many else getattr(probe, name) for name, value in attrs.items()}

    def check(self, wanted: Any) -> None:
        """What `wanted`, not stored yet, must be beyond its model's rules; it may be completed. Raises
        DomainError."""

    def _stored(self) -> list[Any]:
        return [f for f in self.model._meta.concrete_fields if not f.generated]


class RowsMixin(GenericViewSet):
    """The rows of `model` within its policy."""

    model: Any
    # Parameters of a list that the view reads itself, in `filter_queryset`.
    parameters: tuple[str, ...] = ()

    @property
    def policy(self) -> Any:
        return self.model.policy

    def get_queryset(self) -> QuerySet:
        rows = super().get_queryset()
        return rows.filter(self.policy.scope(self.request.user, Permission.VIEW))

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self._shown(page or ()))

    def _shown(self, rows: Sequence[Any]) -> Any:
        """The rows of a page as the list shows them."""
        return self.get_serializer(rows, many=True).data

    def get_object(self) -> Any:
        """The row in the address, within what the user may do; in a request that changes something, which is
        one transaction, under lock."""
        action = action_of(self.request, self)
        rows = self.get_queryset()
        if self.request.method not in SAFE_METHODS:
            rows = rows.select_for_update(of=("self",))
        found = rows.filter(pk=record_id(self.kwargs["pk"])).first()
        if found is None:
            raise NotVisibleError(_("Not found."))
        if not self.model.objects.filter(self.policy.scope(self.request.user, action), pk=found.pk).exists():
            raise ForbiddenError(_("You may see this but not do this with it."))
        if self.request.method not in SAFE_METHODS:
            preconditions.check_tag(self.request, lambda: self.etag(found))
        return found

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        found = self.get_object()
        return Response(self.get_serializer(found).data, headers={"ETag": self.etag(found)})

    def etag(self, row: Any) -> str:
        """Names the state of what can be changed about a row."""
        return preconditions.tag_shown(self.get_serializer(row))


class SavingMixin(mixins.CreateModelMixin, mixins.UpdateModelMixin, mixins.DestroyModelMixin, RowsMixin):
    """Create, update and delete; what the database refuses is a conflict."""

    def perform_create(self, serializer: Any) -> None:
        self.saved(serializer)

    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        response = super().update(request, *args, **kwargs)
        # As whoever reads it next will find it: a trigger may have completed it.
        row = self.get_queryset().filter(pk=record_id(self.kwargs["pk"])).first()
        if row is not None:
            response["ETag"] = self.etag(row)
        return response

    def perform_update(self, serializer: Any) -> None:
        self.saved(serializer)

    def saved(self, serializer: Any, **extra: Any) -> Any:
        """Save; what a unique constraint refuses is a conflict."""
        try:
            with transaction.atomic():
                return serializer.save(**extra)
        except IntegrityError as error:
            names = violated_fields(serializer.Meta.model, error)
            if names is None:
                raise
            message = _("There is one like this already.")
            issues = [FieldIssue(name, "unique", message) for name in names]
            raise ConflictError(message, code="unique", issues=issues) from error

    def perform_destroy(self, instance: Any) -> None:
        release_row(instance, force=flag(self.request, "force"))
        try:
            instance.delete()
        except ProtectedError as error:
            raise ConflictError(_("Others still refer to this."), code="protected") from error

    def refuse_if(self, wrong: bool, message: str) -> None:
        """Raise ConflictError with `message` if `wrong`."""
        if wrong:
            raise ConflictError(message)


class ReadOnlyResourceViewSet(
    RowsMixin, KnownParametersMixin, TransactionMixin, mixins.ListModelMixin, mixins.RetrieveModelMixin
):
    """List and retrieve rows of `model` within its policy.

    `filterset_class` or `filterset_fields` says what a list may be filtered by, `ordering_fields` what it may
    be sorted by.
    """

    filter_backends = [ResourceFilterBackend, ResourceOrderingFilter]
    pagination_class = PageNumberPagination
    filterset_fields: Collection[str] = ()
    ordering_fields: Collection[str] = ()
    permission_classes = [PolicyPermission]
    action_permissions: dict[str, str] = {}
    allowed_query_params: Mapping[str, Collection[str] | None] = {"list": None}

    @classmethod
    def nested_list(cls, request: Request, **parent: Any) -> Response:
        """This resource's list of the rows of a `parent`, under the parent's address."""
        view = cls(request=request, action="list", kwargs={}, format_kwarg=None)
        rows = view.filter_queryset(view.get_queryset().filter(**parent))
        page: Any = view.paginate_queryset(rows)
        return view.get_paginated_response(view._shown(page))


# What deleting takes of whatever definitions may name: `force` pauses those that do.
FORCE = {"list": None, "destroy": frozenset(("force",))}


class ResourceViewSet(SavingMixin, ReadOnlyResourceViewSet):
    """List, create, retrieve, update and delete rows of `model` within its policy."""
