"""Bodies and answers of signing in."""

from typing import Any

from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError as ModelError
from django.utils import timezone
from django.utils.translation import gettext
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.fields import get_error_detail

from core.access import Permission, role_allows, role_of, scopes
from core.accounts import passkeys
from core.accounts.models import ApiKey, Passkey, Session, User
from core.api.resources import StrictSerializer
from core.api.routes import router

# Longer ones protect nobody better and cost hashing.
PASSWORD_LENGTH = 500


def check_password(password: str, user: User) -> str:
    """The password if it is good enough for the user. Raises ValidationError with every reason."""
    try:
        password_validation.validate_password(password, user)
    except ModelError as error:
        raise ValidationError(get_error_detail(error)) from error
    return password


class StrictBody(serializers.Serializer):
    """A body that refuses unknown fields."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = set(data) - set(self.fields) if isinstance(data, dict) else set()
        if unknown:
            known = gettext("Unknown field. Known: %(names)s.") % {"names": ", ".join(sorted(self.fields))}
            raise ValidationError({n: [serializers.ErrorDetail(known, "unknown_field")] for n in unknown})
        return super().to_internal_value(data)


def _password(**options: Any) -> serializers.CharField:
    return serializers.CharField(
        max_length=PASSWORD_LENGTH, trim_whitespace=False, style={"input_type": "password"}, **options
    )


def _credential(**options: Any) -> serializers.DictField:
    """What the browser made of the options; `fido2` reads it."""
    return serializers.DictField(
        help_text="The credential that the browser gave, as its `toJSON()` writes it.", **options
    )


def _code() -> serializers.CharField:
    return serializers.CharField(
        max_length=40, required=False, help_text="A code of the second factor, or a recovery code."
    )


class LoginBody(StrictBody):
    username = serializers.CharField(max_length=254, help_text="The user name or the e-mail address.")
    password = _password()
    code = _code()
    passkey = _credential(required=False)


class PasskeyBody(StrictBody):
    credential = _credential()


class PasskeyOptionsBody(StrictBody):
    username = serializers.CharField(
        max_length=254,
        required=False,
        help_text="The user name or the e-mail address, for the ids of passkeys beside a password.",
    )
    password = _password(required=False)
    purpose = serializers.ChoiceField(
        [passkeys.SIGN_IN, passkeys.SECOND_FACTOR],
        default=passkeys.SIGN_IN,
        help_text="By the passkey alone, or beside a password.",
    )


class PasskeyOptionsAnswer(serializers.Serializer):
    """What `navigator.credentials` takes; binary values are base64url."""

    publicKey = serializers.DictField()


class NewPasskeyBody(PasskeyBody):
    name = serializers.CharField(max_length=80)


class PasskeySerializer(serializers.ModelSerializer):
    class Meta:
        model = Passkey
        fields = ["id", "name", "backed_up", "created_at", "last_used_at"]
        read_only_fields = ["backed_up", "created_at", "last_used_at"]


class RemovePasskeyBody(StrictBody):
    passkey = serializers.IntegerField(min_value=1, help_text="Its id.")


class PasskeyNameBody(StrictBody):
    name = serializers.CharField(max_length=80)


class SingleSignOnBody(StrictBody):
    code = serializers.CharField(max_length=100, help_text="What the app was sent back with.")
    code_verifier = serializers.CharField(
        min_length=43, max_length=128, help_text="Of the `code_challenge` that the sign-in began with (S256)."
    )


class SingleSignOnAnswer(serializers.Serializer):
    """Whether an identity provider is configured, and where a browser goes to sign in there."""

    enabled = serializers.BooleanField()
    name = serializers.CharField(allow_blank=True)
    login_url = serializers.CharField(allow_blank=True)


class RefreshBody(StrictBody):
    refresh = serializers.CharField(max_length=2000)


class LogoutBody(StrictBody):
    refresh = serializers.CharField(max_length=2000, required=False)


class PasswordBody(StrictBody):
    current_password = _password()
    new_password = _password()


class PasswordResetBody(StrictBody):
    email = serializers.EmailField(max_length=254)


class PasswordLinkBody(StrictBody):
    token = serializers.CharField(max_length=1000)
    new_password = _password()


class PasswordProofBody(StrictBody):
    current_password = _password()


class PasswordlessProofBody(StrictBody):
    current_password = _password(required=False, help_text="Where one has a password.")
    code = _code()
    passkey = _credential(required=False)


class SecondFactorCodeBody(StrictBody):
    code = serializers.CharField(max_length=40)


class SecondFactorProofBody(PasswordProofBody, SecondFactorCodeBody):
    pass


class ProofOfBothBody(PasswordProofBody):
    code = _code()
    passkey = _credential(required=False)


class SecondFactorAnswer(serializers.Serializer):
    enabled = serializers.BooleanField()
    app = serializers.BooleanField(help_text="Whether an app gives codes.")
    passkeys = serializers.IntegerField(help_text="The number of your passkeys.")
    required_by_role = serializers.BooleanField(help_text="Whether your role requires a second factor.")
    confirmed_at = serializers.DateTimeField(allow_null=True)
    recovery_codes_left = serializers.IntegerField()


class NewSecondFactorAnswer(serializers.Serializer):
    secret = serializers.CharField(help_text="For the app, in base32; shown only once.")
    address = serializers.CharField(help_text="The same as apps read it from a QR code.")


class RecoveryCodesAnswer(serializers.Serializer):
    recovery_codes = serializers.ListField(child=serializers.CharField(), help_text="Shown only once.")


class NewPasskeyAnswer(RecoveryCodesAnswer):
    """Recovery codes come with one's first second factor."""

    passkey = PasskeySerializer()


class MeSerializer(StrictSerializer):
    """Your account. Administrators change role, team, user name and e-mail address."""

    role = serializers.SerializerMethodField()
    full_name = serializers.CharField(source="get_full_name", read_only=True)

    class Meta:
        model = User
        fields = [
            "id", "username", "email", "first_name", "last_name", "full_name", "role", "team", "phone",
            "time_zone", "language", "phone_region", "is_superuser", "last_login", "date_joined",
        ]  # fmt: skip
        read_only_fields = ["username", "email", "team", "is_superuser", "last_login", "date_joined"]

    def get_role(self, user: User) -> str:
        return role_of(user)


class TokensAnswer(serializers.Serializer):
    access = serializers.CharField()
    refresh = serializers.CharField()
    token_type = serializers.CharField(default="Bearer")
    expires_in = serializers.IntegerField(help_text="Seconds for which `access` is good.")
    refresh_expires_at = serializers.DateTimeField()
    session = serializers.IntegerField()


class LoginAnswer(TokensAnswer):
    user = MeSerializer()


class SessionSerializer(serializers.ModelSerializer):
    current = serializers.SerializerMethodField()

    class Meta:
        model = Session
        fields = ["id", "kind", "created_at", "last_used_at", "expires_at", "ip", "user_agent", "current"]

    def get_current(self, session: Session) -> bool:
        mine = self.context["request"].auth
        return isinstance(mine, Session) and mine.pk == session.pk


class EndedAnswer(serializers.Serializer):
    ended = serializers.IntegerField(help_text="How many sessions were ended.")


def known_resources() -> set[str]:
    """The words before `:read` and `:write`."""
    return {prefix.split("/")[0].replace("-", "_") for prefix, _, _ in router.registry} | {scopes.SCIM}


def check_scope(scope: str) -> None:
    """Raise ValidationError for what is no scope."""
    resource = scope.partition(":")[0] if ":" in scope else ""
    if not scopes.FORM.match(scope) or (resource and resource not in known_resources()):
        known = ", ".join(sorted(known_resources()))
        raise ValidationError(
            gettext("Expected read, write, <resource>:read or <resource>:write of: %(known)s.")
            % {"known": known}
        )


class ApiKeySerializer(StrictSerializer):
    scopes = serializers.ListField(
        child=serializers.CharField(max_length=60, validators=[check_scope]), min_length=1, max_length=100
    )

    class Meta:
        model = ApiKey
        fields = ["id", "name", "prefix", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at"]
        read_only_fields = ["prefix", "created_at", "last_used_at", "revoked_at"]

    def validate_scopes(self, wanted: list[str]) -> list[str]:
        """Users and groups are managed by keys of administrators alone."""
        named = any(scope.partition(":")[0] == scopes.SCIM for scope in wanted)
        if named and not role_allows(self.context["request"].user, Permission.CONFIGURE):
            raise ValidationError(gettext("Only administrators make keys with this scope."), "admins_only")
        return wanted

    def validate_expires_at(self, moment: Any) -> Any:
        if moment and moment <= timezone.now():
            raise ValidationError(gettext("Expected a time to come."))
        return moment


class NewApiKeyAnswer(ApiKeySerializer):
    key = serializers.CharField(read_only=True, help_text="Shown only once.")

    class Meta(ApiKeySerializer.Meta):
        fields = [*ApiKeySerializer.Meta.fields, "key"]
