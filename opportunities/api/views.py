"""Opportunities, pipelines and stages over HTTP."""

from datetime import date
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission, role_allows, scopes
from core.activities.api.viewsets import RecordViewSet
from core.api import preconditions
from core.api.parameters import GROUPED, choice_param, date_param, int_param, record_id
from core.api.resources import FORCE, ResourceViewSet
from core.conf import conf
from core.currencies.api.views import IN_CURRENCY
from core.entities.money import CURRENCY
from core.errors import ForbiddenError, refused_as
from opportunities import deal_contacts, operations
from opportunities.api.filters import OpportunityFilterSet
from opportunities.api.serializers import (
    BoardSerializer,
    ForecastBacktestSerializer,
    ForecastSerializer,
    LostReasonSerializer,
    OpportunityContactSerializer,
    OpportunityContactsSerializer,
    OpportunitySerializer,
    OpportunityStatisticsSerializer,
    PipelineSerializer,
    StageHistorySerializer,
    StageSerializer,
    WinProbabilitySerializer,
)
from opportunities.models import LostReason, Opportunity, OpportunityContact, Pipeline, Stage
from opportunities.querysets import WEIGHTS
from opportunities.win_probability import newest_backtest, win_probability

FORECAST_MONTHS = 6
FORECAST_PARAMETERS = [
    OpenApiParameter("start", date, description="Begins with the month of this date; today without it."),
    OpenApiParameter("months", int, description=f"How many, 1 to 36; {FORECAST_MONTHS} without it."),
    OpenApiParameter(
        "weights",
        str,
        enum=WEIGHTS,
        description="What open deals are weighed by: the probability of their stage, or that of the scoring "
        "model (of the stage where a deal has none). Without it what the setting FORECAST_WEIGHTS says.",
    ),
    IN_CURRENCY,
]


CONTACT_ID = OpenApiParameter("contact_id", int, OpenApiParameter.PATH, description="The id of the contact.")


@extend_schema_view(statistics=extend_schema(parameters=[IN_CURRENCY]))
class OpportunityViewSet(RecordViewSet):
    """Opportunities: deals on their way through a pipeline."""

    queryset = Opportunity.objects.all()
    serializer_class = OpportunitySerializer
    statistics_serializer_class = OpportunityStatisticsSerializer
    filterset_class = OpportunityFilterSet
    action_permissions = {
        **RecordViewSet.action_permissions,
        **dict.fromkeys(("add_contact", "change_contact", "remove_contact"), Permission.CHANGE),
    }
    allowed_query_params = {**RecordViewSet.allowed_query_params, "pipeline": None, "forecast": None}
    unfiltered_params = {
        "forecast": ("start", "months", "weights", "in_currency"),
        "pipeline": ("in_currency",),
        "statistics": (*GROUPED, "in_currency"),
    }

    def get_statistics(self) -> dict[str, Any]:
        one = self._one_currency()
        return self.filtered_rows().statistics(*((one.today, one.to) if one else ()))

    def _one_currency(self) -> operations.InOneCurrency | None:
        """The currency that one total is asked for in. Raises InvalidError."""
        user: Any = self.request.user
        with refused_as("in_currency"):
            asked = CURRENCY.to_internal_value(self.request.query_params.get("in_currency", ""))
        return operations.InOneCurrency(asked, timezone.localdate(timezone=user.zone)) if asked else None

    @extend_schema(responses=BoardSerializer, parameters=[IN_CURRENCY])
    @action(methods=["get"], detail=False)
    def pipeline(self, request: Request) -> Response:
        """One pipeline (`pipeline=`, else the default) by stage; takes the filters of the list."""
        named = operations.named_pipeline(int_param(request, "pipeline"))
        rows = self.filtered_rows()
        return Response(operations.pipeline_figures(rows, named, self._one_currency()))

    @extend_schema(responses=ForecastSerializer, parameters=FORECAST_PARAMETERS)
    @action(methods=["get"], detail=False)
    def forecast(self, request: Request) -> Response:
        """What is expected by month: `start` (a date, default today), `months` (1 to 36, default 6) and what
        open deals are weighed by (`weights`)."""
        user: Any = request.user
        start = date_param(request, "start") or timezone.localdate(timezone=user.zone)
        months = int_param(request, "months", 1, 36) or FORECAST_MONTHS
        rows = self.filtered_rows()
        weights = choice_param(request, "weights", WEIGHTS) or conf.FORECAST_WEIGHTS
        one = self._one_currency()
        return Response(operations.forecast_figures(rows, start, months, weights, one))

    @extend_schema(responses={200: WinProbabilitySerializer})
    @action(methods=["get"], detail=True)
    def win_probability(self, request: Request, pk: str) -> Response:
        """How likely this deal is won, beside what its stage says, and why."""
        return Response(win_probability(self.get_object(), request.user))

    @extend_schema(responses={200: ForecastBacktestSerializer})
    @action(methods=["get"], detail=False)
    def forecast_backtest(self, request: Request) -> Response:
        """How forecasts of closed deals would have gone by their stages and by the model: log loss, and error
        in money. Measured at the newest training; administrators."""
        if not role_allows(request.user, Permission.CONFIGURE):
            raise ForbiddenError(_("Only administrators see the figures of all deals."))
        return Response(newest_backtest())

    @extend_schema(responses=StageHistorySerializer)
    @action(methods=["get"], detail=True)
    def stages(self, request: Request, pk: str) -> Response:
        """The stages this deal went through, with the time spent in each."""
        return Response({"results": operations.stage_history(self.entity, self.get_object())})

    @extend_schema(responses=OpportunityContactsSerializer)
    @action(methods=["get"], detail=True)
    def contacts(self, request: Request, pk: str) -> Response:
        """The deal's contacts with their roles, the primary one first; `hidden` more are not one's to see."""
        scopes.require(request.user, "contacts")
        found = deal_contacts.contacts_of(self.get_object(), request.user)
        return Response(OpportunityContactsSerializer(found).data)

    @extend_schema(request=OpportunityContactSerializer, responses={201: OpportunityContactSerializer})
    @contacts.mapping.post
    def add_contact(self, request: Request, pk: str) -> Response:
        """Add a contact to the deal; the first one is the primary one, as is one with `is_primary`."""
        scopes.require(request.user, "contacts")
        deal = self.get_object()
        preconditions.check(request, deal)
        given = OpportunityContactSerializer(data=request.data, context=self.get_serializer_context())
        given.is_valid(raise_exception=True)
        found = OpportunityContact(opportunity=deal, **given.validated_data)
        deal_contacts.add(found, request.user, primary=bool(given.asked_primary))
        return Response(OpportunityContactSerializer(found).data, 201)

    @extend_schema(
        request=OpportunityContactSerializer, responses=OpportunityContactSerializer, parameters=[CONTACT_ID]
    )
    @action(methods=["patch"], detail=True, url_path="contacts/(?P<contact_id>[^/.]+)")
    def change_contact(self, request: Request, pk: str, contact_id: str) -> Response:
        """Change the role of one of the deal's contacts, or make it the primary one."""
        found = self._contact(request, contact_id)
        context = self.get_serializer_context()
        given = OpportunityContactSerializer(found, data=request.data, partial=True, context=context)
        given.is_valid(raise_exception=True)
        if given.validated_data:
            given.save()
        if given.asked_primary:
            deal_contacts.make_primary(found, request.user)
        return Response(OpportunityContactSerializer(found).data)

    @extend_schema(responses={204: None}, parameters=[CONTACT_ID])
    @change_contact.mapping.delete
    def remove_contact(self, request: Request, pk: str, contact_id: str) -> Response:
        """Take a contact from the deal; after the primary one the next who was added is it."""
        deal_contacts.remove(self._contact(request, contact_id), request.user)
        return Response(status=204)

    def _contact(self, request: Request, contact_id: str) -> OpportunityContact:
        """One of the contacts of the deal in the address, which is locked. Raises NotVisibleError."""
        scopes.require(request.user, "contacts")
        deal = self.get_object()
        preconditions.check(request, deal)
        return deal_contacts.contact_of(deal, record_id(contact_id), request.user)


class PipelineViewSet(ResourceViewSet):
    """Pipelines; a new one starts with the usual six stages."""

    model = Pipeline
    queryset = Pipeline.objects.prefetch_related("stages")
    serializer_class = PipelineSerializer
    allowed_query_params = FORCE
    filterset_fields = ("is_active", "is_default")
    ordering_fields = ("name", "created_at", "id")


class StageViewSet(ResourceViewSet):
    """Stages of pipelines, in their order.

    Deleting one that holds deals takes `move_to`, the key of a stage of the same pipeline and outcome; one
    that definitions name takes `force=true`.
    """

    model = Stage
    queryset = Stage.objects.all()
    serializer_class = StageSerializer
    allowed_query_params = FORCE | {"destroy": frozenset(("force", "move_to"))}
    filterset_fields = ("pipeline", "key")
    ordering_fields = ("pipeline", "position", "name", "probability", "id")

    def perform_destroy(self, instance: Stage) -> None:
        key = self.request.query_params.get("move_to")
        if key is not None:
            operations.move_deals(instance, key)
        super().perform_destroy(instance)


class LostReasonViewSet(ResourceViewSet):
    """Why deals are lost: the list of a pipeline, or of all. Without any, every text is a reason.

    One with the key `other` lets in texts of one's own. One that deals were lost for is not deleted but made
    inactive; a new name is that of these deals too. Deleting one that definitions name takes `force=true`.
    """

    model = LostReason
    queryset = LostReason.objects.all()
    serializer_class = LostReasonSerializer
    allowed_query_params = FORCE
    filterset_fields = ("pipeline", "key", "is_active")
    ordering_fields = ("pipeline", "position", "name", "id")
