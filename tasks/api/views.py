"""Tasks over HTTP."""

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission
from core.activities.api.viewsets import RecordViewSet
from core.api import listing, preconditions
from core.api.bodies import only
from core.api.parameters import record_id
from core.api.schema import ref
from core.api.schema.parts import of_kinds
from core.entities import writing
from core.entities.field_types import Text
from tasks.operations import complete
from tasks.registration import TASK

COMPLETE = {"outcome": Text(max_length=500)}


class TaskViewSet(RecordViewSet):
    """Tasks: calls, meetings and whatever else has to be done."""

    entity = TASK
    access = {**RecordViewSet.access, "complete": Permission.CHANGE}

    @extend_schema(request={"application/json": of_kinds(COMPLETE)}, responses={200: ref("Task")})
    @action(methods=["post"], detail=True)
    def complete(self, request: Request, pk: str) -> Response:
        """Mark done; of a recurring task the next one is made and named in `next_task`."""
        body = only(request, COMPLETE)
        task = writing.locked(self.entity, record_id(pk), request.user)
        preconditions.check(request, task)
        following = complete(self.entity, task, request.user, body.get("outcome", ""))
        return self.shown(request, task.pk, next_task=following.pk if following else None)

    @action(methods=["get"], detail=False)
    def statistics(self, request: Request) -> Response:
        """Totals of the tasks the list's filters name."""
        return Response(listing.figures(self.entity, request).statistics(request.user))
