"""Privacy requests as JSON."""

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.api.strict import StrictFieldsMixin
from core.models.folding import nfc
from core.privacy.certificate import counts_of
from core.privacy.models import PrivacyRequest
from core.privacy.patterns import e164, is_long_enough
from core.privacy.subject import entities_of_persons

AT_MOST = 20


class PersonalRecordSerializer(StrictFieldsMixin, serializers.Serializer):
    """A record of the person."""

    entity = serializers.CharField()
    id = serializers.IntegerField(min_value=1, max_value=2**63 - 1)

    def validate_entity(self, value: str) -> str:
        known = entities_of_persons()
        if value not in known:
            raise serializers.ValidationError(
                _("Expected one of: %(known)s.") % {"known": ", ".join(known)}, code="invalid_choice"
            )
        return value


class SubjectSerializer(StrictFieldsMixin, serializers.Serializer):
    """Who is meant: by addresses, numbers or records. `terms` are further words of the person (a nickname),
    redacted in what the person has together with others, and nowhere else."""

    emails = serializers.ListField(child=serializers.EmailField(), required=False, max_length=AT_MOST)
    phones = serializers.ListField(
        child=serializers.CharField(max_length=40), required=False, max_length=AT_MOST
    )
    records = serializers.ListField(child=PersonalRecordSerializer(), required=False, max_length=AT_MOST)
    terms = serializers.ListField(
        child=serializers.CharField(max_length=100),
        required=False,
        max_length=AT_MOST,
    )

    def validate_emails(self, values: list[str]) -> list[str]:
        return [nfc(value).strip().lower() for value in values]

    def validate_phones(self, values: list[str]) -> list[str]:
        numbers = [e164(value) for value in values]
        if None in numbers:
            message = _("Enter each phone number with its country code: +14155550123.")
            raise serializers.ValidationError(message, code="invalid")
        return [number for number in numbers if number]

    def validate_terms(self, values: list[str]) -> list[str]:
        terms = [nfc(value).strip() for value in values]
        if not all(map(is_long_enough, terms)):
            message = _("A term has at least four characters, or two in Chinese, Japanese or Korean.")
            raise serializers.ValidationError(message, code="min_length")
        return terms

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not any(attrs.get(name) for name in ("emails", "phones", "records")):
            message = _("Name the person by an e-mail address, a phone number or a record.")
            raise serializers.ValidationError({"emails": message}, code="required")
        return attrs


class PrivacyRequestBodySerializer(SubjectSerializer):
    """What is requested, and about whom."""

    kind = serializers.ChoiceField(PrivacyRequest.Kind.choices)
    dry_run = serializers.BooleanField(
        default=False, help_text="Count what would be erased, and erase nothing."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["dry_run"] and attrs["kind"] != PrivacyRequest.Kind.ERASE:
            raise serializers.ValidationError(
                {"dry_run": _("Only an erasure has a dry run.")}, code="invalid"
            )
        return super().validate(attrs)


class CountedTableSerializer(serializers.Serializer):
    """What was done in one table; `rows` of an export."""

    table = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # the key's name
    deleted = serializers.IntegerField(required=False)
    emptied = serializers.IntegerField(required=False)
    redacted = serializers.IntegerField(required=False)
    rows = serializers.IntegerField(required=False)


class KeptDataSerializer(serializers.Serializer):
    """Data that is kept, and why."""

    table = serializers.CharField()
    reason = serializers.CharField()


class KeptOfPersonSerializer(serializers.Serializer):
    """What stays as it is: an address or a number that others have too; a record that may be the person's."""

    kind = serializers.CharField()
    reason = serializers.CharField()
    records = serializers.IntegerField(required=False)
    entity = serializers.CharField(required=False)
    id = serializers.IntegerField(required=False)


class ErasureCertificateSerializer(serializers.Serializer):
    """Confirms that a person was erased, without naming them."""

    request = serializers.IntegerField()
    requested_by = serializers.IntegerField(allow_null=True)
    requested_at = serializers.DateTimeField()
    erased_at = serializers.DateTimeField()
    erased = CountedTableSerializer(many=True)
    kept = KeptDataSerializer(many=True)


class PrivacyRequestSerializer(serializers.ModelSerializer):
    """A request; `subject` and `records` are empty once they are forgotten."""

    requested_by = serializers.IntegerField(source="requested_by_id", read_only=True, allow_null=True)
    subject = serializers.SerializerMethodField()
    records = serializers.SerializerMethodField()
    counts = serializers.SerializerMethodField()
    kept = serializers.SerializerMethodField()
    has_file = serializers.SerializerMethodField()

    class Meta:
        model = PrivacyRequest
        fields = [
            "id", "kind", "dry_run", "status", "message", "requested_by", "subject", "records", "counts",
            "kept", "has_file", "size", "created_at", "started_at", "finished_at", "expires_at",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(serializers.DictField())
    def get_subject(self, request: PrivacyRequest) -> dict[str, Any]:
        return request.subject

    @extend_schema_field(PersonalRecordSerializer(many=True))
    def get_records(self, request: PrivacyRequest) -> list[dict[str, Any]]:
        return [{"entity": entity, "id": pk} for entity, pk in request.found.get("records", [])]

    @extend_schema_field(CountedTableSerializer(many=True))
    def get_counts(self, request: PrivacyRequest) -> list[dict[str, Any]]:
        return counts_of(request)

    @extend_schema_field(KeptOfPersonSerializer(many=True))
    def get_kept(self, request: PrivacyRequest) -> list[dict[str, Any]]:
        return request.kept

    def get_has_file(self, request: PrivacyRequest) -> bool:
        return bool(request.stored_as)
