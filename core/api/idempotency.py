"""`Idempotency-Key`: a repeated POST or PATCH is answered from the first one's row and not carried out.

The row is inserted before the work, in its transaction: a concurrent twin waits on the unique index and
then finds the answer; a failure leaves no row and its repetition really runs.
"""

import hashlib
import hmac
from collections.abc import Callable, Collection, Mapping

import orjson
from django.conf import settings
from django.utils.translation import gettext as _
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.idempotency_sql import claim
from core.api.models import IdempotencyKey
from core.api.rendering import dumps
from core.errors import DomainError, InvalidError

HEADER = "Idempotency-Key"
MAX_LENGTH = 255
KEPT_HEADERS = ("ETag", "Location")


class KeyReusedError(DomainError):
    """The key came before with another body."""

    code = "idempotency_key_reused"


def once(
    request: Request, user_id: int, work: Callable[[], Response], secrets: Collection[str] = ()
) -> Response:
    """`work()`, or the kept answer where this user sent this key on this route before.

    Fields of the answer that are `secrets` are shown in the first answer alone, and kept nowhere.
    """
    key = request.headers.get(HEADER, "").strip().strip('"')
    if not key or request.method not in ("POST", "PATCH"):
        return work()
    if len(key) > MAX_LENGTH or not key.isprintable():
        raise InvalidError.of(
            HEADER, _("At most %(max_length)s printable characters.") % {"max_length": MAX_LENGTH}
        )
    route, mark = f"{request.method} {request.path}"[:300], fingerprint(request)
    row_id = claim(user_id, route, key, mark)
    if row_id is None:
        return _replay(IdempotencyKey.objects.get(user_id=user_id, route=route, key=key), mark)
    response = work()
    _keep(row_id, response, secrets)
    return response


def fingerprint(request: Request) -> str:
    """What makes two requests the same: query and body; of uploads the fields and the files' content.

    Keyed, because a body may hold a password that must not be guessed from what is kept here.
    """
    query = request.META.get("QUERY_STRING", "").encode()
    digest = hmac.new(settings.SECRET_KEY.encode(), query, hashlib.sha256)
    if request.content_type.startswith("multipart/"):
        for name, values in sorted(request.POST.lists()):
            digest.update(repr((name, values)).encode())
        for name, upload in sorted(request.FILES.items()):
            digest.update(name.encode())
            for chunk in upload.chunks():
                digest.update(chunk)
            upload.seek(0)
        return digest.hexdigest()
    digest.update(dumps(request.data))
    return digest.hexdigest()


def _keep(row_id: int, response: Response, secrets: Collection[str]) -> None:
    headers = {name: response[name] for name in KEPT_HEADERS if name in response}
    data = response.data
    if secrets and isinstance(data, Mapping):
        data = {name: value for name, value in data.items() if name not in secrets}
    body = dumps(data)
    IdempotencyKey.objects.filter(pk=row_id).update(status=response.status_code, body=body, headers=headers)


def _replay(kept: IdempotencyKey, mark: str) -> Response:
    if kept.fingerprint != mark:
        raise KeyReusedError(_("This Idempotency-Key was used with another request."))
    headers = {**kept.headers, "Idempotency-Replayed": "true"}
    return Response(orjson.loads(bytes(kept.body)), kept.status, headers=headers)
