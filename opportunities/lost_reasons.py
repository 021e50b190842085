"""Why deals are lost: the list of a pipeline, and what it lets in. Without a list any text is a reason."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Case, F, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from core.changes import current_audit_context
from core.errors import InvalidError
from opportunities.models import LostReason


def on_the_list(values: dict[str, Any], before: Mapping[str, Any] | None) -> None:
    """A reason that is new to a deal is one of its pipeline's, by key or name, and stored by its name.

    Another text is let in where the list has `other`.
    """
    text = values.get("lost_reason")
    where = {**(before or {}), **values}
    if not text or (before is not None and before["lost_reason"] == text):
        return
    listed = _listed(where["pipeline_id"])
    if not listed:
        return
    by_word = {word.casefold(): reason for reason in reversed(listed) for word in (reason.key, reason.name)}
    found = by_word.get(text.casefold())
    others = any(reason.key == LostReason.OTHER for reason in listed)
    if found is not None and found.key == LostReason.OTHER:
        raise InvalidError.of("lost_reason", _("Say which other reason it is."), "required")
    if found is None and not others:
        known = ", ".join(reason.name for reason in listed)
        raise InvalidError.of(
            "lost_reason",
            _("Not a reason of this pipeline. Known: %(known)s.") % {"known": known},
            "invalid_choice",
        )
    values["lost_reason"] = found.name if found is not None else text


def _listed(pipeline: int) -> list[LostReason]:
    """The active reasons of a pipeline, its own first; read once per transaction."""
    cache = current_audit_context().cache
    if "lost_reasons" not in cache:
        rows = LostReason.objects.filter(is_active=True)
        cache["lost_reasons"] = list(rows.order_by(F("pipeline").desc(nulls_last=True), "position", "id"))
    return [reason for reason in cache["lost_reasons"] if reason.pipeline_id in (None, pipeline)]


def reported_reason() -> Case:
    """What a deal counts by in reports: the reason of the list, `other` for another text; without a list the
    text."""
    known = LostReason.objects.filter(Q(pipeline=None) | Q(pipeline=OuterRef("pipeline")))
    named = known.filter(name=OuterRef("lost_reason")).order_by()
    other = known.filter(key=LostReason.OTHER).order_by(F("pipeline").desc(nulls_last=True))
    reason = Coalesce(
        Subquery(named.values("name")[:1]), Subquery(other.values("name")[:1]), F("lost_reason")
    )
    return Case(When(lost_reason="", then=Value("")), default=reason)
