"""What is served: users with the attributes that there are here, groups as RFC 7643 has them."""

from functools import lru_cache
from http import HTTPStatus
from typing import Annotated, Any

from scim2_models import (
    URN,
    AuthenticationScheme,
    Bulk,
    ChangePassword,
    Context,
    ETag,
    Filter,
    Group,
    InvalidPathException,
    Mutability,
    Patch,
    PatchOp,
    Required,
    Resource,
    ResponseParameters,
    ScimPolicy,
    ScimProvider,
    ServiceProviderConfig,
    Sort,
    Uniqueness,
)
from scim2_models.attributes import ComplexAttribute
from scim2_models.resources.user import Email, GroupMembership
from scim2_server.conditions import Conditions
from scim2_server.responses import ScimResponse
from scim2_server.service import ScimService

from core.accounts.scim.member_operations import apply, is_about_members, path_of, split

MAX_RESULTS = 200


class ProvisionedName(ComplexAttribute):
    given_name: str | None = None
    """First name"""

    family_name: str | None = None
    """Last name"""


class ProvisionedPerson(Resource[Any]):
    """User account"""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:User")

    user_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    """The name to sign in by"""

    name: ProvisionedName | None = None
    """Names"""

    active: bool | None = None
    """Whether the user may sign in"""

    emails: list[Email] | None = None
    """The e-mail address: of several the primary one, else the first, is kept"""

    groups: Annotated[list[GroupMembership] | None, Mutability.read_only] = None
    """The groups that the user is in"""


# As clients know it: the name of the schema and of the resource type.
ProvisionedPerson.__name__ = "User"


class DirectoryService(ScimService):
    """As the library has it, but that members of groups are looked up, and that a user who was changed is
    answered: some providers read them there."""

    def apply_replacement(
        self, current: Resource[Any], replacement: Resource[Any], conditions: Conditions
    ) -> Resource[Any] | None:
        if not isinstance(replacement, Group):
            return super().apply_replacement(current, replacement, conditions)
        self.check_preconditions(current, "PUT", conditions)
        replacement.id = current.id
        return replacement

    def apply_patch(
        self, current: Resource[Any], patch_op: "PatchOp[Any]", conditions: Conditions
    ) -> Resource[Any] | None:
        if not isinstance(current, Group):
            return super().apply_patch(current, patch_op, conditions)
        self.check_preconditions(current, "PATCH", conditions)
        before = {str(member.value): member for member in current.members or ()}
        members, is_changed = before, False
        for operation in (part for whole in patch_op.operations or () for part in split(whole)):
            if is_about_members(operation):
                members = apply(operation, members)
                continue
            if path_of(operation).startswith("members"):
                raise InvalidPathException(detail='Members are named as members, or members[value eq "…"].')
            # Without them, whom the library would copy for each operation.
            current.members = None
            is_changed |= patch_op.model_copy(update={"operations": [operation]}).patch(current)
        current.members = list(members.values())
        return current if is_changed or set(members) != set(before) else None

    def patch_response(
        self, base_url: str, resource: Resource[Any], response_parameters: ResponseParameters[Any]
    ) -> ScimResponse:
        asked = response_parameters.attributes or response_parameters.excluded_attributes
        if isinstance(resource, Group) and not asked:
            version = resource.meta.version if resource.meta else None
            return ScimResponse(HTTPStatus.NO_CONTENT, None, {"ETag": str(version)})
        shown = self.publish(base_url, resource)
        context = Context.RESOURCE_PATCH_RESPONSE
        return self.resource_response(shown, context, response_parameters, HTTPStatus.OK)


@lru_cache(maxsize=1)
def service() -> DirectoryService:
    """The protocol. Unknown attributes are ignored, for identity providers send all that they have; so are
    schemas. What Entra ID does otherwise than RFC 7644 is taken as it means it."""
    config = ServiceProviderConfig(
        patch=Patch(supported=True),
        bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
        filter=Filter(supported=True, max_results=MAX_RESULTS),
        change_password=ChangePassword(supported=False),
        sort=Sort(supported=False),
        etag=ETag(supported=True),
        authentication_schemes=[
            AuthenticationScheme(
                type=AuthenticationScheme.Type.oauthbearertoken,
                name="API key",
                description="An API key of an administrator with the scope scim:write or scim:read.",
                primary=True,
            )
        ],
    )
    policy = ScimPolicy(
        unknown=ScimPolicy.Unknown.ignore,
        remove_value_as_filter=ScimPolicy.RemoveValue.apply,
        unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
    )
    return DirectoryService(ScimProvider(models=[ProvisionedPerson, Group], config=config, policy=policy))
