"""/api/v1/exchange_rates/."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission
from core.api.filtersets import ResourceFilterSet
from core.api.parameters import flag
from core.api.resources import ResourceViewSet
from core.conditions.filters import TypedFilter
from core.currencies.api.serializers import ExchangeRateSerializer, RateFileSerializer, StoredRatesSerializer
from core.currencies.models import ExchangeRate
from core.currencies.recording import store
from core.entities.field_types import Date

IN_CURRENCY = OpenApiParameter(
    "in_currency", str, description="A currency (ISO 4217) to give one total in, as `converted`."
)
RESTATES_CLOSED = OpenApiParameter(
    "restates_closed", bool, description="Delete it although closed amounts may count by it."
)


class ExchangeRateFilterSet(ResourceFilterSet):
    date_from = TypedFilter(Date(), field_name="date", lookup_expr="gte", help_text="Of this day or later.")
    date_to = TypedFilter(Date(), field_name="date", lookup_expr="lte", help_text="Of this day or earlier.")

    class Meta:
        model = ExchangeRate
        fields = ("currency", "date", "base", "source")


class ExchangeRateViewSet(ResourceViewSet):
    """Exchange rates: what one unit of a currency costs in the organisation's currency from a day on.

    Everyone reads them, administrators write them.
    """

    model = ExchangeRate
    queryset = ExchangeRate.objects.all()
    serializer_class = ExchangeRateSerializer
    filterset_class = ExchangeRateFilterSet
    ordering_fields = ("currency", "date", "rate", "created_at", "updated_at", "id")
    allowed_query_params = {"list": None, "destroy": frozenset(("restates_closed",))}
    action_permissions = {"import_csv": Permission.ADD}

    @extend_schema(parameters=[RESTATES_CLOSED])
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Delete a rate. If closed amounts may count by it, this takes `restates_closed=true`."""
        return super().destroy(request, *args, **kwargs)

    def perform_destroy(self, instance: ExchangeRate) -> None:
        if flag(self.request, "restates_closed"):
            instance.closing_rate = None
        super().perform_destroy(instance)

    @extend_schema(request={"multipart/form-data": RateFileSerializer}, responses=StoredRatesSerializer)
    @action(methods=["post"], detail=False, parser_classes=[MultiPartParser])
    def import_csv(self, request: Request) -> Response:
        """Store the rates of a CSV file: all, or none if one is wrong."""
        serializer = RateFileSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        given = serializer.validated_data
        user: Any = request.user
        today = timezone.localdate(timezone=user.zone)
        restates = bool(given.get("restates_closed"))
        stored = store(given["file"], ExchangeRate.Source.IMPORT, today, restates=restates)
        return Response(StoredRatesSerializer(stored).data)
