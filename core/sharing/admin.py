"""Shares in the admin site: with whom a record is shared on its page, and the list of all."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminSplitDateTimeWidget

from core.accounts.models import Team, User
from core.admin import home, record_page
from core.admin.about import entity_word
from core.admin.captured import CapturedAdmin
from core.admin.forms import OVERRIDES
from core.admin.home import Panel, PanelLine
from core.admin.navigation import DATA, Menu
from core.entities import entity_of
from core.sharing import operations
from core.sharing.models import Share
from core.sharing.operations import Grant


@admin.register(Share)
class ShareAdmin(CapturedAdmin):
    """What one may share oneself; a record is shared on its own page."""

    menu = Menu(DATA, "share", 52)
    formfield_overrides = OVERRIDES
    list_display = ("what", "user", "team", "access", "expires_at", "created_by", "created_at")
    list_filter = ("entity", "access")
    list_select_related = ("user", "team", "created_by")
    search_fields = ("=object_id", "user__username", "team__name")
    ordering = ("-id",)
    fields = ("what", ("user", "team"), ("access", "expires_at"), ("created_by", "created_at"))
    readonly_fields = ("what", "user", "team", "created_by", "created_at")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Share, form: Any, change: bool) -> None:
        Grant(obj.user, obj.team, obj.access, obj.expires_at).check(request.user)
        super().save_model(request, obj, form, change)

    @admin.display(description=gettext_lazy("what"), ordering="object_id")
    def what(self, share: Share) -> str:
        """The shared thing, by its name where it is a record that one sees."""
        name = getattr(share, "named_record", "")
        return (
            f"{entity_word(share.entity)}: {name}"
            if name
            else f"{entity_word(share.entity)} {share.object_id}"
        )


class ShareForm(forms.Form):
    """With whom a record is shared, to do what, until when."""

    user: forms.ModelChoiceField = forms.ModelChoiceField(
        queryset=None,
        required=False,
        label=gettext_lazy("User"),
        widget=AutocompleteSelect(Share._meta.get_field("user"), admin.site),
    )
    team: forms.ModelChoiceField = forms.ModelChoiceField(
        queryset=None,
        required=False,
        label=gettext_lazy("Team"),
        widget=AutocompleteSelect(Share._meta.get_field("team"), admin.site),
    )
    access = forms.ChoiceField(
        label=gettext_lazy("Access"), choices=Share.Access.choices, widget=UnfoldAdminSelectWidget
    )
    expires_at = forms.SplitDateTimeField(
        label=gettext_lazy("Until"), required=False, widget=UnfoldAdminSplitDateTimeWidget()
    )

    def __init__(self, data: Any) -> None:
        super().__init__(data, prefix="share", auto_id="share_%s")
        people: Any = self.fields["user"]
        people.queryset = User.objects.filter(is_active=True).order_by("username")
        teams: Any = self.fields["team"]
        teams.queryset = Team.objects.order_by("name", "id")


def share(record: Any, user: Any, form: forms.Form) -> None:
    """Share the record as the form of its page says. Raises DomainError."""
    locked = operations.locked(entity_of(record), record.pk, user)
    operations.share_one(locked, Grant(**form.cleaned_data), user)


def build(record: Any, user: Any) -> Panel | None:
    """With whom the record is shared; each leads to where it is taken back. None where it is with nobody."""
    rows = Share.objects.of(record.entity_name, record.pk).select_related("user", "team")
    shares = list(rows[: home.LINES])
    if not shares:
        return None
    lines = [PanelLine(_whom(one), home.page_url(Share, one.pk), _detail(one)) for one in shares]
    url = home.list_url(Share, entity__exact=record.entity_name, q=record.pk)
    return Panel(_("Shared with"), "share", url, lines, "")


def _whom(share: Share) -> str:
    return share.user.get_full_name() if share.user else _("Team %(name)s") % {"name": share.team}


def _detail(share: Share) -> str:
    words = _("may change it") if share.access == Share.Access.WRITE else _("may read it")
    until = f", {_('until')} {share.expires_at:%Y-%m-%d %H:%M}" if share.expires_at else ""
    return f"{words}{until}"


record_page.icons.register("share", "share")
record_page.related.register("shares", build)
record_page.log_forms.register(
    "share", record_page.LogForm(gettext_lazy("Share with a user or a team"), "share", ShareForm, share)
)
