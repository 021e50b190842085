"""Users and teams as JSON."""

from typing import Any

from rest_framework import serializers
from rest_framework.validators import UniqueValidator

from core.access import Role, role_of
from core.accounts.api.auth_serializers import PASSWORD_LENGTH, check_password
from core.accounts.models import Team, User
from core.api.resources import StrictSerializer
from core.api.strict import StrictFieldsMixin
from core.entities.field_types import Reference

# What colleagues need of each other to assign, mention and expand.
BRIEF = ["id", "username", "first_name", "last_name", "full_name", "team", "is_active"]
# E-mail and what administration is about: for administrators, managers of the person, and oneself.
DETAILS = [
    "email", "role", "phone", "phone_region", "time_zone", "language", "is_superuser", "last_login",
    "date_joined",
]  # fmt: skip

NAMES = ("username", "email", "first_name", "last_name")


# Whatever the case of its letters.
TAKEN_ONCE = UniqueValidator(queryset=User.objects.all(), lookup="iexact", message="Another user has this.")


class UserSerializer(StrictSerializer):
    """A user. `is_superuser` and `is_staff` cannot be written."""

    full_name = serializers.CharField(source="get_full_name", read_only=True)
    email = serializers.EmailField(max_length=254, required=False, allow_blank=True, validators=[TAKEN_ONCE])
    role = serializers.ChoiceField(choices=Role.choices, required=False)
    password = serializers.CharField(
        write_only=True, required=False, max_length=PASSWORD_LENGTH, trim_whitespace=False
    )

    class Meta:
        model = User
        fields = [*BRIEF, *DETAILS, "password"]
        read_only_fields = ["is_superuser", "last_login", "date_joined"]
        extra_kwargs = {
            "username": {"validators": [User.username_validator, TAKEN_ONCE]},
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        user = getattr(self.context.get("request"), "user", None)
        self._detailed = User.policy.details_of(user) if role_of(user) else None

    def to_representation(self, user: User) -> dict[str, Any]:
        shown = super().to_representation(user)
        shown["role"] = Role.ADMIN if user.is_superuser else user.role
        if self._detailed is None or user.pk in self._detailed:
            return shown
        return {name: shown[name] for name in BRIEF}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """The model's rules, and the password's against the user as it would be."""
        password = attrs.pop("password", None)
        attrs = super().validate(attrs)
        if password is not None:
            self._check(password, attrs)
            attrs["password"] = password
        return attrs

    def _check(self, password: str, attrs: dict[str, Any]) -> None:
        """A password that resembles its user's names is refused like a short or common one."""
        names = {n: attrs.get(n, getattr(self.instance, n, "")) for n in NAMES}
        try:
            check_password(password, User(**names))
        except serializers.ValidationError as error:
            raise serializers.ValidationError({"password": error.detail}) from error

    def create(self, validated_data: dict[str, Any]) -> User:
        """Without a password nobody signs in as this user until an administrator sets one."""
        return User.objects.create_user(**validated_data)

    def update(self, instance: User, validated_data: dict[str, Any]) -> User:
        password = validated_data.pop("password", None)
        if password is not None:
            instance.set_password(password)
        return super().update(instance, validated_data)


class TeamSerializer(StrictSerializer):
    members = serializers.IntegerField(
        source="active_members", read_only=True, default=0, help_text="How many active users."
    )

    class Meta:
        model = Team
        fields = ["id", "name", "parent", "members", "created_at"]


class HandOverSerializer(StrictFieldsMixin, serializers.Serializer):
    """Who receives what a user has: another user, or the active members of a team."""

    to = Reference("user", required=False, allow_null=True)
    team = Reference("team", required=False, allow_null=True)


class LeftSerializer(serializers.Serializer):
    """Something that could not be handed over."""

    field = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()


class HandedOverSerializer(serializers.Serializer):
    """What was handed over, by its kind."""

    records = serializers.DictField(child=serializers.IntegerField())
    fields = serializers.DictField(  # type: ignore[assignment]  # a field; DRF takes it off
        child=serializers.IntegerField()
    )
    changed = serializers.DictField(child=serializers.ListField(child=serializers.IntegerField()))
    kept = serializers.DictField(child=serializers.IntegerField())
    left = LeftSerializer(many=True)
