"""The companies that are suggested for people, over HTTP."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from contacts import company_suggestions
from core.access import Permission
from core.api import preconditions
from core.api.strict import StrictFieldsMixin
from core.conditions.filters import EntityFilterSet, TypedFilter
from core.duplicates.api.viewsets import MergeableViewSet
from core.entities.field_types import BIGINT_MAX, Boolean


class SuggestedCompanySerializer(serializers.Serializer):
    """A company with the domain of the person's e-mail address; without `domain` where that is hidden."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    domain = serializers.CharField()

    def to_representation(self, instance: Any) -> dict[str, Any]:
        shown: dict[str, Any] = super().to_representation(instance)
        return shown if company_suggestions.shows_domain(self.context["user"]) else _without_domain(shown)


def _without_domain(shown: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in shown.items() if name != company_suggestions.DOMAIN}


class CompanySuggestionsSerializer(serializers.Serializer):
    """The suggested companies that you see; `hidden`: there is another company with this domain that you do
    not see."""

    results = SuggestedCompanySerializer(source="companies", many=True)
    hidden = serializers.BooleanField()


class AcceptedCompanySerializer(StrictFieldsMixin, serializers.Serializer):
    """One of the suggested companies."""

    company = serializers.IntegerField(min_value=1, max_value=BIGINT_MAX)


class DismissedCompanySerializer(AcceptedCompanySerializer):
    """A suggested company that is not the person's; `dismissed: false` takes that back."""

    dismissed = serializers.BooleanField(default=True)


class CompanySuggestionFilterSet(EntityFilterSet):
    """The base of FilterSets of people."""

    has_company_suggestion = TypedFilter(
        Boolean(),
        method="filter_has_company_suggestion",
        reads=(company_suggestions.ADDRESS,),
        help_text="Without a company, and with a suggested one that you see.",
    )

    def filter_has_company_suggestion(self, queryset: QuerySet, name: str, value: bool) -> QuerySet:
        condition = company_suggestions.has_suggestion(self.entity, self.user)
        return queryset.filter(condition) if value else queryset.exclude(condition)


class CompanySuggestionsViewSet(MergeableViewSet):
    """The base of the viewsets of people, whose companies are found by the domain of their e-mail address."""

    action_permissions = {
        **MergeableViewSet.action_permissions,
        **dict.fromkeys(("accept_company", "dismiss_company"), Permission.CHANGE),
    }

    @extend_schema(responses=CompanySuggestionsSerializer)
    @action(methods=["get"], detail=True)
    def company_suggestions(self, request: Request, pk: str) -> Response:
        """List companies that have the domain of the person's e-mail address."""
        found = company_suggestions.suggestions_of(self.get_object(), request.user)
        return Response(CompanySuggestionsSerializer(found, context={"user": request.user}).data)

    @extend_schema(request=AcceptedCompanySerializer, responses=AcceptedCompanySerializer)
    @action(methods=["post"], detail=True, url_path="company_suggestions/accept")
    def accept_company(self, request: Request, pk: str) -> Response:
        """Link the record to one of the suggested companies."""
        record, given = self._asked(request, AcceptedCompanySerializer)
        company_suggestions.accept(record, given["company"], request.user)
        return Response(given)

    @extend_schema(request=DismissedCompanySerializer, responses=DismissedCompanySerializer)
    @action(methods=["post"], detail=True, url_path="company_suggestions/dismiss")
    def dismiss_company(self, request: Request, pk: str) -> Response:
        """Dismiss a suggested company, or take that back."""
        record, given = self._asked(request, DismissedCompanySerializer)
        act = company_suggestions.dismiss if given["dismissed"] else company_suggestions.take_back
        act(record, given["company"], request.user)
        return Response(given)

    def _asked(
        self, request: Request, serializer: type[serializers.Serializer]
    ) -> tuple[Any, dict[str, Any]]:
        """The record, under lock, and the body."""
        given = serializer(data=request.data)
        given.is_valid(raise_exception=True)
        record = self.get_object()
        preconditions.check(request, record)
        return record, given.validated_data
