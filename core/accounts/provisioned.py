"""Users and groups as an identity provider manages them over SCIM (core.accounts.scim)."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Lower, Now

from core.access import AdminPolicy, VisibleManager
from core.models.capture import captured


class ProvisionedUser(models.Model):
    """What an identity provider says of a user whom it manages over SCIM: its own id for them, and when it
    has deleted them."""

    policy = AdminPolicy()

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="provisioned")
    external_id = models.CharField(max_length=255, blank=True, default="", db_default="")
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = VisibleManager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["external_id"],
                condition=~models.Q(external_id=""),
                name="provisioned_user_external_id",
            )
        ]
        triggers = captured("provisioned_user")

    def __str__(self) -> str:
        return f"{self.user_id} as {self.external_id}"


class ProvisionedGroup(models.Model):
    """A group that an identity provider has pushed over SCIM; OIDC_ROLES and OIDC_TEAMS say what it gives."""

    policy = AdminPolicy()

    display_name = models.CharField(max_length=255)
    external_id = models.CharField(max_length=255, blank=True, default="", db_default="")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    # Counts the changes of the group and of who is in it: its version.
    revision = models.IntegerField(default=1, db_default=1, editable=False)
    members = models.ManyToManyField(
        settings.AUTH_USER_MODEL, through="ProvisionedMember", related_name="provisioned_groups"
    )

    objects = VisibleManager()

    class Meta:
        ordering = ["display_name", "id"]
        constraints = [
            models.UniqueConstraint(Lower("display_name"), name="provisioned_group_name"),
            models.UniqueConstraint(
                fields=["external_id"],
                condition=~models.Q(external_id=""),
                name="provisioned_group_external_id",
            ),
        ]
        triggers = captured("provisioned_group", untracked=("created_at", "revision"))

    def __str__(self) -> str:
        return self.display_name


class ProvisionedMember(models.Model):
    """Who is in a group of the identity provider."""

    group = models.ForeignKey(ProvisionedGroup, models.CASCADE)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["group", "user"], name="provisioned_member_unique")]
        triggers = captured("provisioned_member")

    def __str__(self) -> str:
        return f"{self.user_id} in {self.group_id}"
