"""The page that hands over what people have: what would go to whom, before it goes."""

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.formats import number_format
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext_lazy

from core.access import can_change_records
from core.accounts.hand_over import PlannedHandOver, dealt, hand_over, plan
from core.accounts.models import User
from core.admin import verbs
from core.admin.people import PeopleField
from core.entities.entity import entities


class HandOverForm(verbs.VerbForm):
    """To whom; several take turns. Who goes, and who could not work on records, is not offered."""

    to = PeopleField(label=pgettext_lazy("recipient", "To"), queryset=None)

    def __init__(self, request: HttpRequest, leavers: Sequence[User]) -> None:
        super().__init__(request)
        able = User.objects.filter(can_change_records() & ~Q(pk__in=[user.pk for user in leavers]))
        self.fields["to"].queryset = able.order_by("username")  # type: ignore[attr-defined]
        self.fields["to"].help_text = _(
            "Several share what there is, one after the other. Active people whose role may change records."
        )


def asked(
    admin: Any, request: HttpRequest, users: QuerySet[User], hidden: dict[str, Any]
) -> HttpResponse | None:
    """The page, or None once everything was handed over."""
    leavers = list(users)
    form = HandOverForm(request, leavers)
    if not form.is_valid() or verbs.is_preview(request):
        title = _("Hand over what %(name)s has") % {"name": leavers[0]} if len(leavers) == 1 else ""
        title = title or ngettext(
            "Hand over what %(n)s user has", "Hand over what %(n)s users have", len(leavers)
        ) % {"n": number_format(len(leavers))}
        receivers = list(form.cleaned_data["to"]) if form.is_bound and form.is_valid() else []
        shown = [_shown(user, plan(user), receivers) for user in leavers]
        return verbs.page(admin, request, title, form, [], hidden, preview=shown)
    for user in leavers:
        left = hand_over(user, list(form.cleaned_data["to"])).left
        named = "; ".join(f"{issue.field}: {issue.message}" for issue in left[: verbs.NAMED])
        said = _("%(user)s has handed over. %(named)s") % {"user": user, "named": named}
        admin.message_user(request, said.strip(), messages.WARNING if left else messages.SUCCESS)
    return None


def _shown(user: User, planned: PlannedHandOver, receivers: Sequence[User]) -> verbs.Preview:
    rows = []
    for entity in entities:
        count, closed = planned.records[entity.plural], planned.kept[entity.plural]
        if count or closed:
            title = capfirst(str(entity.model._meta.verbose_name_plural))
            rows.append((title, [count, closed, *dealt(count, len(receivers))]))
    notes = [
        _("What is closed stays with %(name)s: it says who closed it, and managers see it as before.")
        % {"name": user}
    ]
    if planned.named:
        notes.append(
            ngettext(
                "%(n)s workflow, webhook, view or template acts in their name or names them, and goes to a "
                "receiver as well.",
                "%(n)s workflows, webhooks, views or templates act in their name or name them, and go to the "
                "receivers as well.",
                planned.named,
            )
            % {"n": number_format(planned.named)}
        )
    if planned.fields:
        notes.append(
            ngettext(
                "On %(n)s record a custom field names them, and gets a receiver.",
                "On %(n)s records a custom field names them, and gets a receiver.",
                planned.fields,
            )
            % {"n": number_format(planned.fields)}
        )
    return verbs.Preview(
        str(user),
        [_("To hand over"), _("Closed, stays"), *(str(receiver) for receiver in receivers)],
        rows,
        notes,
        _("%(name)s has nothing that would have to be handed over.") % {"name": user},
    )
