"""What the protocol reads and writes."""

from types import ModuleType
from typing import Any

from scim2_models import NotImplementedException, Resource, ResourceType, ResponseParameters, SearchRequest
from scim2_server.storage import ScimStorage, SearchPage

from core.accounts.models import User
from core.accounts.scim import filters, groups, people


class DirectoryStorage(ScimStorage):
    """Users and groups, in the name of the API key's user.

    What is `writing` reads a row under lock: what the protocol compares and changes is what is written, so
    that there is no version to compare once more.
    """

    def __init__(self, actor: User, *, writing: bool) -> None:
        self.actor, self.writing = actor, writing

    def get(
        self,
        resource_type: ResourceType,
        resource_id: str,
        *,
        response_parameters: ResponseParameters[Any] | None = None,
    ) -> Resource[Any]:
        if resource_type.name == "User":
            return people.get(resource_id, lock=self.writing)
        return groups.get(resource_id, lock=self.writing, members=shows_members(response_parameters))

    def search(
        self,
        resource_types: list[ResourceType],
        search_request: SearchRequest[Any],
        *,
        position: Any = None,
    ) -> SearchPage:
        if len(resource_types) != 1:
            raise NotImplementedException(detail="Search users or groups.")
        is_users = resource_types[0].name == "User"
        rows: Any = people.rows() if is_users else groups.rows()
        known = filters.USERS if is_users else filters.GROUPS
        found = rows.filter(filters.condition(search_request.filter, known)).distinct().order_by("pk")
        total = found.count()
        start, count = search_request.start_index_0 or 0, search_request.count or 0
        if not count or start >= total:
            return SearchPage(total, [])
        wanted = found[start : start + count]
        if is_users:
            return SearchPage(total, list(people.shown(wanted)))
        return SearchPage(total, list(groups.page(wanted, members=shows_members(search_request))))

    def create(self, resource_type: ResourceType, resource: Any) -> Resource[Any]:
        return _room(resource_type).create(resource, self.actor)

    def update(
        self, resource_type: ResourceType, resource: Any, *, expected_version: str | None = None
    ) -> Resource[Any]:
        return _room(resource_type).update(resource, self.actor)

    def delete(
        self, resource_type: ResourceType, resource_id: str, *, expected_version: str | None = None
    ) -> None:
        _room(resource_type).delete(resource_id, self.actor)


def _room(resource_type: ResourceType) -> ModuleType:
    return people if resource_type.name == "User" else groups


def shows_members(parameters: ResponseParameters[Any] | None) -> bool:
    """Whether an answer has the members of groups, which may be many."""
    if parameters is None:
        return True
    excluded = {str(name).lower() for name in parameters.excluded_attributes or ()}
    included = {str(name).lower() for name in parameters.attributes or ()}
    return "members" not in excluded and (not included or any("members" in name for name in included))
