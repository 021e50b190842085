"""What our pages are measured against: a plain ModelViewSet of leads, and settings that serve both.

Same model, fields, order, visibility and authentication; DRF's serializer and PageNumberPagination, whose
count is a COUNT(*).
"""

from typing import Any

from django.db.models import QuerySet
from django.urls import include, path
from rest_framework.pagination import PageNumberPagination
from rest_framework.routers import DefaultRouter
from rest_framework.serializers import ModelSerializer, ReadOnlyField
from rest_framework.viewsets import ModelViewSet

from lead_management.entity import LEAD
from lead_management.models import Lead

DERIVED = ("is_hot", "days_since_created")


class LeadSerializer(ModelSerializer):
    class Meta:
        model = Lead
        fields = [c.name for c in LEAD.columns if c.name not in DERIVED]


class ShownSerializer(LeadSerializer):
    is_hot = ReadOnlyField()
    days_since_created = ReadOnlyField()

    class Meta(LeadSerializer.Meta):
        fields = [c.name for c in LEAD.columns]


class FiftyPerPage(PageNumberPagination):
    page_size = 50


class PlainLeadViewSet(ModelViewSet):
    serializer_class = ShownSerializer
    pagination_class = FiftyPerPage

    def get_queryset(self) -> QuerySet[Any]:
        derived = {name: LEAD.by_name[name].expression for name in DERIVED}
        rows = Lead.objects.visible_to(self.request.user).filter(archived_at=None)
        return rows.annotate(**derived).order_by("-id")


router = DefaultRouter()
router.register("leads", PlainLeadViewSet, basename="plain-lead")
urlpatterns = [path("plain/", include(router.urls)), path("", include("backend.urls"))]
