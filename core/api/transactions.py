"""Writing requests: one transaction, one declared actor, at most one effect."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar

from django.conf import settings
from django.db import OperationalError
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api.idempotency import once
from core.api.request_ids import request_id_of
from core.changes import audit_context
from core.changes.context import current_audit_context

# Deadlock and serialization failure: the other transaction has won, a second try usually passes.
RETRIED = ("40P01", "40001")


class TransactionMixin(APIView):
    """Wraps the handler of every unsafe request; an exception undoes all of it, its change rows included.

    `writes_in_transaction = False` on a view leaves transactions to the view itself (uploads, sign-in);
    `keeps_answers = False` does without the Idempotency-Key (sign-in). `secret_answers` names by action the
    fields of an answer that are secrets: a repetition is answered without them.
    """

    writes_in_transaction = True
    keeps_answers = True
    secret_answers: ClassVar[Mapping[str, Collection[str]]] = {}
    # Through which door changes come, by the action they come from.
    sources: ClassVar[Mapping[str, str]] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        method = (request.method or "").lower()
        handler = getattr(self, method, None)
        if handler and request.method not in SAFE_METHODS and self.writes_in_transaction:
            setattr(self, method, self._wrapped(handler))

    def _wrapped(self, handler: Callable[..., Response]) -> Callable[..., Response]:
        def run(request: Request, *args: Any, **kwargs: Any) -> Response:
            try:
                return self._transact(request, lambda: handler(request, *args, **kwargs))
            except OperationalError as error:
                if getattr(error.__cause__, "sqlstate", "") not in RETRIED:
                    raise
            return self._transact(request, lambda: handler(request, *args, **kwargs))

        return run

    def _transact(self, request: Request, work: Callable[[], Response]) -> Response:
        user = request.user if request.user.is_authenticated else None
        action = getattr(self, "action", "")
        secrets = self.secret_answers.get(action, ())
        # What an AI client does is its doing whichever view it is done by.
        caller = current_audit_context()
        source = caller.source if caller.agent_session_id else self.sources.get(action, "api")
        limit = settings.DATABASE_WRITE_TIMEOUT
        with audit_context(user, source=source, request_id=request_id_of(request), statement_seconds=limit):
            if user is None or not self.keeps_answers:
                return work()
            return once(request, user.pk, work, secrets)
