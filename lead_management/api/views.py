"""Leads over HTTP."""

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission, scopes
from core.activities.api.viewsets import RecordViewSet
from core.api import preconditions
from core.api.bodies import only
from core.api.parameters import record_id
from core.api.schema.parts import ANYTHING, FLAG, ID, TEXT, nullable, object_of, of_kinds
from core.entities import writing
from core.entities.field_types import Boolean, Date, Json, Money, Reference, Text
from lead_management.models import Lead
from lead_management.operations import CONVERSION_WRITES, Wish, convert
from lead_management.registration import LEAD

CONVERT = {
    "create_opportunity": Boolean(),
    "contact": Reference(target="contact"),
    "company": Reference(target="company"),
    "pipeline": Reference(target="pipeline"),
    "stage": Text(max_length=40),
    "opportunity_name": Text(max_length=200),
    "amount": Money(min_value=0),
    "expected_close_date": Date(),
    "custom_fields": Json(),
}
CONVERTED = object_of(
    {
        "success": FLAG,
        **{f"{name}_id": nullable(ID) for name in ("lead", "contact", "company", "opportunity")},
        "created": {"type": "object", "additionalProperties": FLAG},
        "moved": {"type": "object", "additionalProperties": {"type": "integer"}},
    }
)


class LeadFigures(RecordViewSet):
    """Second names that the descriptions give."""

    @extend_schema(responses={200: ANYTHING})
    @action(methods=["get"], detail=False)
    def stats(self, request: Request) -> Response:
        """The same as `statistics`."""
        return self.statistics(request)  # type: ignore[call-arg]

    @extend_schema(responses={200: object_of({"status": TEXT})})
    @action(methods=["get"], detail=False, permission_classes=[AllowAny], authentication_classes=[])
    def health(self, request: Request) -> Response:
        """Whether leads can be read; needs no token."""
        Lead.objects.order_by().values("pk")[:1].exists()
        return Response({"status": "ok"})


class LeadViewSet(LeadFigures):
    """Leads, their conversion and their figures."""

    entity = LEAD
    access = {**RecordViewSet.access, "convert": Permission.CHANGE}
    taking = {**RecordViewSet.taking, "stats": None}

    @extend_schema(request={"application/json": of_kinds(CONVERT)}, responses={200: CONVERTED})
    @action(methods=["post"], detail=True)
    def convert(self, request: Request, pk: str) -> Response:
        """Make a contact, its company and an opportunity of the lead, once; 409 afterwards."""
        wish = Wish(**only(request, CONVERT))
        scopes.require(request.user, *CONVERSION_WRITES, writing=True)
        lead = writing.locked(self.entity, record_id(pk), request.user)
        preconditions.check(request, lead)
        return Response(convert(self.entity, lead, request.user, wish))
