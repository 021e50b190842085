"""Exports, saved mappings and import options as JSON or form fields."""

from collections.abc import Mapping
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _
from rest_framework import serializers

from core.api.resources import StrictSerializer
from core.api.strict import StrictFieldsMixin
from core.conf import conf
from core.entities import entities
from core.entities.entity import by_plural
from core.entities.field_types import Choice, Json, refuse
from core.models.folding import nfc
from core.transfer.exporting import FORMATS
from core.transfer.models import ExportJob, SavedMapping
from core.transfer.options import ImportOptionsSerializer, Options, parse


class ResourceField(serializers.CharField):
    """`leads` outside, `lead` inside."""

    def to_representation(self, value: str) -> str:
        return entities[value].plural

    def to_internal_value(self, data: Any) -> str:
        found = by_plural(super().to_internal_value(data))
        if found is None:
            raise serializers.ValidationError(_("There is no such resource."), code="unknown")
        return found.name


class QueryField(Json):
    """The query of a list as an object of texts; a list holds the values of a repeated parameter."""

    def to_internal_value(self, data: Any) -> dict[str, str | list[str]]:
        data = super().to_internal_value(data)
        values = data.values() if isinstance(data, Mapping) else [None]
        if not all(isinstance(v, str | int | float) for value in values for v in _each(value)):
            raise refuse("invalid", _("Expected an object of query parameters."))
        return {
            str(name): [_text(v) for v in value] if isinstance(value, list) else _text(value)
            for name, value in data.items()
        }


def _each(value: Any) -> list[Any]:
    return (value or [None]) if isinstance(value, list) else [value]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class ExportRequestSerializer(StrictFieldsMixin, serializers.Serializer):
    """What to export, in which format, and of which rows."""

    resource = ResourceField(help_text="leads, contacts, companies, opportunities or tasks.")
    format = Choice(choices=tuple(FORMATS), required=False, allow_null=True)
    params = QueryField(
        required=False,
        allow_null=True,
        help_text="The query of the list: filters, search, ordering, fields …",
    )


class ExportJobSerializer(serializers.ModelSerializer):
    url = serializers.SerializerMethodField()
    resource = ResourceField(source="entity", read_only=True)
    download_url = serializers.SerializerMethodField()

    class Meta:
        model = ExportJob
        fields = [
            "id", "url", "resource", "format", "params", "status", "message", "rows", "size", "download_url",
            "expires_at", "created_at", "finished_at",
        ]  # fmt: skip

    def get_url(self, job: ExportJob) -> str:
        return f"/api/v1/exports/{job.pk}/"

    def get_download_url(self, job: ExportJob) -> str | None:
        return f"/api/v1/exports/{job.pk}/download/" if job.stored_as else None


class ImportSettingsSerializer(ImportOptionsSerializer):
    """Options of an import, stored as they were given."""

    null_in_answers = True

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        super().to_internal_value(data)
        return dict(data)

    def to_representation(self, instance: Mapping[str, Any]) -> dict[str, Any]:
        return dict(instance)


class SavedMappingSerializer(StrictSerializer):
    """Options of an import under a name."""

    resource = ResourceField(source="entity")
    settings = ImportSettingsSerializer(required=False)

    class Meta:
        model = SavedMapping
        fields = ["id", "name", "resource", "settings", "created_at", "updated_at"]
        read_only_fields = ["id", "created_at", "updated_at"]

    def create(self, validated_data: dict[str, Any]) -> SavedMapping:
        return SavedMapping.objects.create(**validated_data)

    def update(self, instance: SavedMapping, validated_data: dict[str, Any]) -> SavedMapping:
        for name, value in validated_data.items():
            setattr(instance, name, value)
        instance.save()
        return instance


class ImportFormSerializer(ImportOptionsSerializer):
    """A file and the options of its import, over those of a saved mapping."""

    # The context has the `entity` and the `request`.
    file = serializers.FileField(allow_empty_file=True, help_text="CSV or XLSX.")
    saved_mapping = serializers.CharField(
        max_length=200, required=False, help_text="Id or name of saved settings, over which these count."
    )

    def validate_file(self, file: UploadedFile) -> UploadedFile:
        if (file.size or 0) > conf.IMPORT_MAX_MB << 20:
            raise refuse(
                "max_length", _("At most %(import_max_mb)s MB.") % {"import_max_mb": conf.IMPORT_MAX_MB}
            )
        return file

    def validate_saved_mapping(self, text: str) -> SavedMapping:
        """A saved mapping by its id or name."""
        rows = SavedMapping.objects.visible_to(self.context["request"].user)
        rows = rows.filter(entity=self.context["entity"].name)
        by_id = (
            rows.filter(pk=int(text)) if text.isascii() and text.isdigit() and len(text) < 19 else rows.none()
        )
        found = by_id.first() or rows.filter(name=nfc(text)).first()
        if found is None:
            raise refuse("does_not_exist", _("There is no such saved mapping."))
        return found

    def options(self, base: Options | None = None) -> Options:
        saved = self.validated_data.get("saved_mapping")
        return super().options(parse(saved.settings, base) if saved else base)
