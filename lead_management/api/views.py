"""Leads over HTTP."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from contacts.api.company_suggestions import CompanySuggestionsViewSet
from core.access import Permission, scopes
from core.api import preconditions
from core.api.parameters import GROUPED
from core.conf import reading_database
from core.entities import record_counts
from lead_management.api.filters import LeadFilterSet
from lead_management.api.serializers import (
    ConversionResultSerializer,
    ConversionSerializer,
    HealthSerializer,
    LeadSerializer,
    LeadStatisticsSerializer,
)
from lead_management.models import Lead
from lead_management.operations import CONVERSION_WRITES, ConversionOptions, convert, lock_for_conversion
from lead_management.querysets import COUNTED_BY, figures_of


class LeadViewSet(CompanySuggestionsViewSet):
    """Leads, their conversion and their statistics."""

    queryset = Lead.objects.all()
    serializer_class = LeadSerializer
    statistics_serializer_class = LeadStatisticsSerializer
    filterset_class = LeadFilterSet
    action_permissions = {**CompanySuggestionsViewSet.action_permissions, "convert": Permission.CHANGE}
    allowed_query_params = {**CompanySuggestionsViewSet.allowed_query_params, "stats": None}
    unfiltered_params = {**CompanySuggestionsViewSet.unfiltered_params, "stats": GROUPED}

    @extend_schema(request=ConversionSerializer, responses=ConversionResultSerializer)
    @action(methods=["post"], detail=True)
    def convert(self, request: Request, pk: str) -> Response:
        """Convert the lead, once, into a contact, its company and an opportunity; 409 afterwards."""
        options = ConversionSerializer(data=request.data)
        options.is_valid(raise_exception=True)
        scopes.require(request.user, *CONVERSION_WRITES, writing=True)
        lock_for_conversion()
        lead = self.get_object()
        preconditions.check(request, lead)
        given = {name: value for name, value in options.validated_data.items() if value is not None}
        return Response(convert(self.entity, lead, request.user, ConversionOptions(**given)))

    def get_statistics(self) -> dict[str, Any]:
        """Of all leads that one sees by the counts that are kept; of those that filters name by counting."""
        rows = self.filtered_rows()
        if not self.is_whole:
            return rows.statistics()
        fields = (record_counts.ALL, *COUNTED_BY.columns)
        return figures_of(record_counts.counts(self.entity, self.request.user, fields, reading_database()))

    @extend_schema(responses=LeadStatisticsSerializer)
    @action(methods=["get"], detail=False)
    def stats(self, request: Request) -> Response:
        """The same as `statistics`."""
        return Response(self.get_totals() | self.get_groups())

    @extend_schema(responses=HealthSerializer)
    @action(methods=["get"], detail=False, permission_classes=[AllowAny], authentication_classes=[])
    def health(self, request: Request) -> Response:
        """Whether leads can be read; needs no token."""
        Lead.objects.order_by().values("pk")[:1].exists()
        return Response({"status": "ok"})
