"""The page Settings of the admin site: one's own language, time zone and notifications."""

from collections.abc import Mapping
from typing import Any

from babel.dates import get_day_names
from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core import labels
from core.accounts import languages
from core.accounts.models import User
from core.accounts.own_account import OwnAccountForm
from core.admin.formats import locale
from core.changes import audit_context
from core.notifications import preferences
from core.notifications.api.serializers import PreferencesSerializer
from core.notifications.models import DAYS
from core.notifications.preferences import Preferences
from core.notifications.types import CHANNELS, types

CHANNEL_TITLES = {
    "in_app": gettext_lazy("In the CRM"),
    "email": gettext_lazy("By e-mail"),
    "push": gettext_lazy("Push message"),
    "sms": gettext_lazy("Text message"),
}
ACCOUNT, NOTIFICATIONS = "account", "notifications"


def page(request: HttpRequest) -> HttpResponse:
    """Show them, or store what one of the page's two forms was sent with."""
    does = request.POST.get("do") if request.method == "POST" else None
    form = OwnAccountForm(request.POST if does == ACCOUNT else None, instance=_own(request))
    faults: list[str] = []
    if does == ACCOUNT and form.is_valid():
        _save_account(request, form)
        return HttpResponseRedirect(request.path)
    if does == NOTIFICATIONS:
        faults = _save_preferences(request)
        if not faults:
            messages.success(request, _("Your notifications are as you chose."))
            return HttpResponseRedirect(f"{request.path}#notifications")
    context = {
        **admin.site.each_context(request),
        "title": _("Settings"),
        "form": form,
        "faults": faults,
        **_shown(preferences.of(request.user)),
        "has_password": form.instance.has_usable_password(),
        "media": form.media,
    }
    return TemplateResponse(request, "admin/core/settings.html", context)


def _own(request: HttpRequest) -> User:
    """A copy of the signed-in user: what a refused form says does not change who the page is made for."""
    return User.objects.get(pk=request.user.pk)


def _context(request: HttpRequest) -> Any:
    return audit_context(request.user, source="admin", request_id=getattr(request, "request_id", ""))


def _save_account(request: HttpRequest, form: OwnAccountForm) -> None:
    if form.changed_data:
        with _context(request):
            User.objects.filter(pk=form.instance.pk).update(
                **{name: form.cleaned_data[name] for name in form.changed_data}
            )
    # The message is read on the next page, which is in the new language.
    with translation.override(translation.get_language()):
        languages.activate(form.instance)
        messages.success(request, _("Your settings are saved."))


def _save_preferences(request: HttpRequest) -> list[str]:
    """Store them as the API does; what is wrong with them, if anything."""
    with _context(request), transaction.atomic():
        serializer = PreferencesSerializer(
            preferences.locked(request.user), data=_sent(request.POST), partial=True
        )
        if serializer.is_valid():
            serializer.save()
            return []
    return list(_messages(serializer.errors))


def _messages(errors: Any) -> list[str]:
    """The messages of a serializer's errors, however deep they are."""
    parts = errors.values() if isinstance(errors, Mapping) else errors if isinstance(errors, list) else ()
    return [text for part in parts for text in _messages(part)] if parts else [str(errors)]


def _sent(sent: QueryDict) -> dict[str, Any]:
    """The form's boxes as the API's body: a box that is not ticked is not sent."""
    ticked = set(sent.getlist("on"))
    return {
        "channels": {channel: channel in ticked for channel in CHANNELS},
        "types": {
            kind.name: {channel: f"{kind.name}.{channel}" in ticked for channel in CHANNELS} for kind in types
        },
        "digest": {period: period in ticked for period in ("daily", "weekly")},
        "do_not_disturb": {
            "enabled": "quiet" in ticked,
            "start": sent.get("start", ""),
            "end": sent.get("end", ""),
            "days": sent.getlist("days"),
            "whole_days": sent.getlist("whole_days"),
            "allow_urgent": "urgent" in ticked,
        },
    }


def _shown(found: Preferences) -> dict[str, Any]:
    own = found.own
    names = get_day_names("abbreviated", context="stand-alone", locale=locale())
    days = [(day, names[place]) for place, day in enumerate(DAYS)]
    return {
        "channels": [(name, title, found.channel(name)) for name, title in CHANNEL_TITLES.items()],
        "types": [
            (
                labels.label(kind.label),
                [
                    (channel, title, found.type(kind.name, channel))
                    for channel, title in CHANNEL_TITLES.items()
                ],
                kind.name,
            )
            for kind in types
        ],
        "daily": found.daily,
        "weekly": found.weekly,
        "own": own,
        "quiet_days": [(day, name, day in own.quiet_days) for day, name in days],
        "silent_days": [(day, name, day in own.silent_days) for day, name in days],
    }
