"""The page of the admin site that lists groups of possible duplicates: to merge, to dismiss, and, where they
are exact, to merge many at once after a look at what that does."""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from core import labels
from core.access import Permission, role_allows
from core.admin import verbs
from core.admin.home import page_url
from core.duplicates.bulk_merging import AT_MOST_GROUPS, AT_MOST_RECORDS, MergedGroup, merge_groups
from core.duplicates.groups import DuplicateGroup, GroupQuery, dismiss, shown, visible_groups
from core.duplicates.models import AT_MOST
from core.duplicates.reasons import FUZZY
from core.entities import Entity, duplicate_rules, entities
from core.errors import ConflictError

SIZE = 25


def merge_url(model: Any, ids: Sequence[int]) -> str:
    """The address of the page that merges records of a model."""
    page = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_merge")
    return f"{page}?{urlencode({'ids': ','.join(map(str, ids))})}"


def groups_view(admin: Any, request: HttpRequest) -> HttpResponse:
    """The groups of one entity that the user sees; what the page is sent with is done to them."""
    found = {entity.name: entity for entity in entities if entity.merging is not None and entity.duplicates}
    entity = found.get(request.GET.get("entity", "")) or next(iter(found.values()))
    entity = entity.for_user(request.user)
    if request.method != "POST":
        return _page(admin, request, entity, list(found.values()))
    return admin.excused(request, lambda: _done(admin, request, entity), request.get_full_path())


def _page(admin: Any, request: HttpRequest, entity: Entity, others: Sequence[Entity]) -> HttpResponse:
    exact = True if request.GET.get("exact") == "true" else None
    query = GroupQuery(exact=exact)
    groups = visible_groups(entity, request.user, query)
    page = Paginator(groups, SIZE).get_page(request.GET.get("page"))
    here = {"entity": entity.name} | ({"exact": "true"} if exact else {})
    context = {
        **admin.admin_site.each_context(request),
        "title": _("Duplicates"),
        "entity": entity.name,
        "entities": [(other.name, labels.titled(other.name)) for other in others],
        "exact": exact,
        "page": page,
        "here": urlencode(here),
        "groups": [_shown(entity, group) for group in shown(entity, page.object_list, request.user, query)],
        "may_change": role_allows(request.user, Permission.CHANGE),
        "checkbox": ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, "admin/core/duplicates.html", context)


def _shown(entity: Entity, group: DuplicateGroup) -> dict[str, Any]:
    ids = [record["id"] for record in group.records]
    return {
        "ids": ",".join(map(str, ids)),
        "records": [
            (record["name"], page_url(entity.model, record["id"]), record["id"]) for record in group.records
        ],
        "reasons": ", ".join(_label(entity, name) for name in group.reasons),
        "score": round(group.score * 100),
        "exact": group.exact,
        "merge_url": merge_url(entity.model, ids),
    }


def _label(entity: Entity, reason: str) -> str:
    label = duplicate_rules.label_of(entity, reason.removesuffix(FUZZY))
    return _("%(what)s (alike)") % {"what": label} if reason.endswith(FUZZY) else label


def _done(admin: Any, request: HttpRequest, entity: Entity) -> HttpResponse:
    if "dismiss" in request.POST:
        dismiss(entity, _group_in(request.POST["dismiss"]), request.user)
        admin.message_user(request, _("These are not the same."), messages.SUCCESS)
        return HttpResponseRedirect(request.get_full_path())
    groups = _groups_in(request.POST.getlist(ACTION_CHECKBOX_NAME))
    form = verbs.VerbForm(request)
    asks = not form.is_valid()
    made = merge_groups(entity, groups, request.user, dry_run=asks)
    if asks:
        title = ngettext("Merge %(n)s group", "Merge %(n)s groups", len(groups)) % {"n": len(groups)}
        hidden = {ACTION_CHECKBOX_NAME: request.POST.getlist(ACTION_CHECKBOX_NAME)}
        return verbs.page(admin, request, title, form, list(_lines(made)), hidden)
    _report(admin, request, made)
    return HttpResponseRedirect(request.get_full_path())


def _groups_in(texts: Sequence[str]) -> list[list[int]]:
    """The chosen groups, as many and as large as one request may merge. Raises ConflictError."""
    groups = [_group_in(text) for text in texts]
    ids = [pk for group in groups for pk in group]
    if not 1 <= len(groups) <= AT_MOST_GROUPS or len(ids) > AT_MOST_RECORDS:
        limits = {"n": AT_MOST_GROUPS, "records": AT_MOST_RECORDS}
        raise ConflictError(_("Choose 1 to %(n)s groups of %(records)s records in all.") % limits)
    if len(set(ids)) < len(ids):
        raise ConflictError(_("Choose each record once."))
    return groups


def _group_in(text: str) -> list[int]:
    """The records of one group. Raises ConflictError."""
    ids = ids_in(text)
    if not 2 <= len(ids) <= AT_MOST + 1:
        raise ConflictError(_("Choose 2 to %(n)s records.") % {"n": AT_MOST + 1})
    return ids


def ids_in(text: str) -> list[int]:
    """Ids with commas between them, each once; what is none is left out."""
    return list(dict.fromkeys(int(pk) for pk in text.split(",") if pk.isdecimal() and len(pk) < 19))


def _lines(made: Sequence[MergedGroup]) -> Iterator[str]:
    """What merging would do, in words."""
    for group in made:
        survivor, *merged = group.ids
        records = {"survivor": survivor, "merged": ", ".join(map(str, merged))}
        if group.error is not None:
            yield _("%(survivor)s with %(merged)s: ") % records + group.error.message
            continue
        changes = "; ".join(f"{name}: {new}" for name, (_old, new) in group.changes.items())
        yield _("%(merged)s into %(survivor)s") % records + (f": {changes}" if changes else "")


def _report(admin: Any, request: HttpRequest, made: Sequence[MergedGroup]) -> None:
    done = sum(group.error is None for group in made)
    if done:
        text = ngettext("%(n)s group merged.", "%(n)s groups merged.", done) % {"n": done}
        admin.message_user(request, text, messages.SUCCESS)
    for group in made:
        if group.error is not None:
            ids = ", ".join(map(str, group.ids))
            admin.message_user(request, f"{ids}: {group.error.message}", messages.WARNING)
