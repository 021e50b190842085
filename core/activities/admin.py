"""Activities and comments in the admin site, to look at."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from core.activities import further_records, home, mentions
from core.activities.models import Activity, ActivityRecord, Comment
from core.admin import home as home_page
from core.admin import record_page
from core.admin.navigation import DATA, Menu
from core.admin.read_only import ReadOnlyAdmin
from core.entities import entities
from core.errors import InvalidError

home_page.parts.register("activities", home_page.Builder(40, home.build))


@admin.register(Activity)
class ActivityAdmin(ReadOnlyAdmin):
    menu = Menu(DATA, "call", 60)
    list_display = ("happened_at", "entity", "object_id", "type", "direction", "subject", "author")
    list_filter = ("entity", "type", "direction")
    list_select_related = ("author",)
    search_fields = ("=object_id", "subject")
    ordering = ("-happened_at", "-id")


@admin.register(Comment)
class CommentAdmin(ReadOnlyAdmin):
    menu = Menu(DATA, "comment", 61)
    list_display = ("created_at", "entity", "object_id", "author", "body", "edited_at")
    list_filter = ("entity",)
    list_select_related = ("author",)
    search_fields = ("=object_id",)
    ordering = ("-id",)


class RecordsTextField(forms.CharField):
    """Records as people write them: "contact 5, opportunity 7"."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            label=_("Also about"),
            required=False,
            widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "contact 5, opportunity 7"}),
            **options,
        )

    def clean(self, value: Any) -> Any:
        try:
            return further_records.refs_in(super().clean(value))
        except InvalidError as error:
            raise forms.ValidationError([issue.message for issue in error.issues]) from error


class ActivityForm(forms.ModelForm):
    """What was done: a call, an e-mail, a meeting or a note."""

    records = RecordsTextField()

    class Meta:
        model = Activity
        fields = ("type", "direction", "subject", "body", "outcome", "happened_at")
        widgets: ClassVar = {
            "type": UnfoldAdminSelectWidget,
            "direction": UnfoldAdminSelectWidget,
            "subject": UnfoldAdminTextInputWidget,
            "body": UnfoldAdminTextareaWidget(attrs={"rows": 3}),
            "outcome": UnfoldAdminTextInputWidget,
        }
        field_classes: ClassVar = {"happened_at": forms.SplitDateTimeField}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["happened_at"].widget = UnfoldAdminSplitDateTimeWidget()


class CommentForm(forms.ModelForm):
    """What one says about the record; `@username` notifies that user."""

    class Meta:
        model = Comment
        fields = ("body",)
        help_texts: ClassVar = {"body": _("@username notifies that user, if they may see the record.")}
        widgets: ClassVar = {"body": UnfoldAdminTextareaWidget(attrs={"rows": 3})}


def log_activity(record: Any, user: Any, form: forms.Form) -> None:
    """Store what the form of a record's page says was done."""
    given = dict(form.cleaned_data)
    records = given.pop("records")
    further_records.check(records, user, entities.keys())
    made = Activity.objects.create(entity=record.entity_name, object_id=record.pk, author=user, **given)
    further_records.replace(ActivityRecord, made, records, user)


def log_comment(record: Any, user: Any, form: forms.Form) -> None:
    mentions.create_comment(
        entity=record.entity_name, object_id=record.pk, author=user, body=form.cleaned_data["body"]
    )


def _form(name: str, made: type[forms.ModelForm]) -> Any:
    return lambda data: made(data, prefix=name, auto_id=f"{name}_%s")


ICONS = {
    "call": "call",
    "email": "mail",
    "meeting": "groups",
    "note": "sticky_note_2",
    "comment": "comment",
}
for kind, icon in ICONS.items():
    record_page.icons.register(kind, icon)
record_page.log_forms.register(
    "activity",
    record_page.LogForm(
        _("Log a call, e-mail, meeting or note"), "call", _form("activity", ActivityForm), log_activity
    ),
)
record_page.log_forms.register(
    "comment", record_page.LogForm(_("Comment"), "comment", _form("comment", CommentForm), log_comment)
)
