"""What an import request brings: a file, options, maybe a saved mapping."""

from collections.abc import Mapping
from typing import Any, BinaryIO, cast

from django.http import QueryDict
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request

from core.conf import conf
from core.entities import Entity
from core.entities.entity import by_plural
from core.entities.field_types.text import checked_text
from core.errors import InvalidError, NotVisibleError, refused_as
from core.transfer.models import SavedMapping
from core.transfer.options import Options, parse

SAVED = "saved_mapping"


class AnyFormat(DefaultContentNegotiation):
    """`?format=` names the format of the export, not one of our renderers."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


def entity_named(resource: str) -> Entity:
    """The entity behind /import/leads/. Raises NotVisibleError."""
    found = by_plural(resource)
    if found is None:
        raise NotVisibleError("There is no such resource.")
    return found


def upload_of(request: Request) -> tuple[BinaryIO, str]:
    """The uploaded file and its name. Raises InvalidError."""
    upload = request.FILES.get("file")
    if upload is None:
        raise InvalidError.of("file", "Send the file as multipart/form-data under this name.", "required")
    if upload.size > conf.IMPORT_MAX_MB << 20:
        raise InvalidError.of("file", f"At most {conf.IMPORT_MAX_MB} MB.", "max_length")
    return upload.file, (upload.name or "").replace("\x00", "")


def options_of(request: Request, entity: Entity) -> Options:
    """The options in the form, over those of a saved mapping. Raises InvalidError."""
    sent = cast(QueryDict, request.data)  # a form: the view takes nothing else
    form = {name: values[-1] for name, values in sent.lists() if name != "file"}
    saved = form.pop(SAVED, "")
    return parse(form, parse(_saved(saved, entity, request.user)) if saved else None)


def _saved(text: str, entity: Entity, user: Any) -> Mapping[str, Any]:
    """A saved mapping by its id or name."""
    rows = SavedMapping.objects.visible_to(user).filter(entity=entity.name)
    by_id = text.isascii() and text.isdigit() and len(text) < 19
    with refused_as(SAVED):
        by_name = rows.filter(name=checked_text(text))
    found = (rows.filter(pk=int(text)).first() if by_id else None) or by_name.first()
    if found is None:
        raise InvalidError.of(SAVED, "There is no such saved mapping.", "does_not_exist")
    return found.settings
