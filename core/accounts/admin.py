"""Users, teams, sessions and API keys in the admin site."""

from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.views.main import ORDER_VAR
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import action
from unfold.forms import AdminPasswordChangeForm

from core.access import Permission
from core.accounts import admin_security, groups, hand_over_page, passkeys, password_mails
from core.accounts.admin_login import LoginForm
from core.accounts.hand_over import release_user
from core.accounts.models import (
    ApiKey,
    ExternalIdentity,
    Passkey,
    PasswordMail,
    ProvisionedGroup,
    Session,
    Team,
    User,
)
from core.accounts.person_forms import INVITE, NewPersonForm, PersonForm
from core.admin import verbs
from core.admin.captured import SAFE_METHODS, CapturedAdmin, NamesInOrder
from core.admin.home import list_url, page_url
from core.admin.navigation import PEOPLE, Link, Menu, links
from core.admin.pages import pages
from core.admin.read_only import ReadOnlyAdmin
from core.entities.locks import TEAM_TREE, lock

# Not by unfold's setting: it would import this page while the site it registers with is being made.
admin.site.login_form = LoginForm
pages.register("security", admin_security.page)
links.register("security", Link(Menu(PEOPLE, "lock", 60), gettext_lazy("Security"), "admin-security"))
# Rights come from roles: a group would give its members nothing.
admin.site.unregister(Group)

SHOWN_MEMBERS = 200
# So far in is a team drawn at most (core/static/crm/admin.css).
DEEPEST = 6
RIGHTS = ("is_active", "is_staff", "is_superuser")
# What everyone knows of their colleagues, as over the API.
BRIEF = ("username", "first_name", "last_name", "team", "is_active")
NAMED = ("first_name", "last_name", "email", "phone", "phone_region", "time_zone", "language")
_RIGHTS_AND_TIMES: Any = (
    (gettext_lazy("Rights"), {"fields": ("role", "team", *RIGHTS)}),
    (gettext_lazy("Times"), {"fields": ("last_login", "date_joined")}),
)
# Of people one may know and not change: all but the line about their password.
LOOKED_AT = ((gettext_lazy("Person"), {"fields": ("username", *NAMED)}), *_RIGHTS_AND_TIMES)


def knows(request: HttpRequest, person: Any = None) -> bool:
    """Whether the signed-in user may know the e-mail, role and sign-ins of a person, without one of all."""
    known = User.policy.details_of(request.user)
    return known is None or (person is not None and person.pk in known)


@admin.register(User)
class UserAdmin(CapturedAdmin, DjangoUserAdmin):
    menu = Menu(PEOPLE, "person", 10)
    form = PersonForm
    add_form = NewPersonForm
    change_password_form = AdminPasswordChangeForm
    list_display = (
        "username",
        "shown_name",
        "email",
        "role",
        "team",
        "is_active",
        "is_staff",
        "last_login",
    )
    list_filter = ("role", "team", "is_active", "is_staff")
    list_select_related = ("team",)
    search_fields = (
        "username__folded__contains",
        "first_name__folded__contains",
        "last_name__folded__contains",
        "email__folded__contains",
    )
    ordering = ("username",)
    actions = ("hand_over",)
    autocomplete_fields = ("team",)
    filter_horizontal = ()
    readonly_fields = ("last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (gettext_lazy("Person"), {"fields": NAMED}),
        *_RIGHTS_AND_TIMES,
    )
    add_form_template = None
    add_fieldsets = (
        (gettext_lazy("Person"), {"fields": ("username", *NAMED)}),
        (gettext_lazy("Rights"), {"fields": ("role", "team", "is_staff")}),
        (gettext_lazy("Signing in"), {"fields": ("way_in", "password1", "password2")}),
    )
    actions_detail = ("invite_person", "hand_over_person")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None or self.has_change_permission(request, obj):
            return super().get_fieldsets(request, obj)
        return LOOKED_AT if knows(request, obj) else ((None, {"fields": BRIEF}),)

    def get_list_display(self, request: HttpRequest) -> Any:
        brief = ("username", "shown_name", "team", "is_active")
        return super().get_list_display(request) if knows(request) else brief

    def get_list_filter(self, request: HttpRequest) -> Any:
        return super().get_list_filter(request) if knows(request) else ("team", "is_active")

    @admin.display(description=gettext_lazy("name"), ordering="first_name")
    def shown_name(self, user: User) -> str:
        return user.get_full_name()

    def get_search_fields(self, request: HttpRequest) -> Any:
        return self.search_fields if knows(request) else self.search_fields[:3]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Only superusers make superusers."""
        more = () if request.user.is_superuser else ("is_superuser",)
        return (*self.readonly_fields, *more)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """A new colleague works in this site, and most likely where whoever adds them does."""
        mine: Any = request.user
        given = {"is_staff": True, "time_zone": mine.time_zone, "language": mine.language}
        return given | super().get_changeform_initial_data(request)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Whoever has something hands it over before they are deactivated. Raises ConflictError."""
        if change and not obj.is_active and "is_active" in form.changed_data:
            release_user(obj)
        super().save_model(request, obj, form, change)
        if not change and form.cleaned_data.get("way_in") == INVITE:
            self._send_invitation(request, obj)

    def _send_invitation(self, request: HttpRequest, user: User) -> None:
        password_mails.ask(user.email, PasswordMail.Kind.INVITATION)
        self.message_user(request, _("An invitation is on its way to %(email)s.") % {"email": user.email})

    def has_invite_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whom one may change, while they are active and a mail reaches them."""
        able = User.objects.filter(is_active=True).exclude(email="")
        return self.has_change_permission(request, object_id) and (
            object_id is None or (str(object_id).isdecimal() and able.filter(pk=object_id).exists())
        )

    @action(
        description=gettext_lazy("Send an invitation"),
        permissions=["invite"],
        url_path="invite",
        icon="forward_to_inbox",
    )
    def invite_person(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Asks first: the link that they got before is worth nothing once they used the new one."""
        back = page_url(User, object_id)
        return self.excused(request, lambda: self._invite(request, object_id, back), back)

    def _invite(self, request: HttpRequest, object_id: str, back: str) -> HttpResponse:
        user = self.get_queryset(request).get(pk=object_id)
        form = verbs.VerbForm(request)
        if not form.is_valid():
            lines = [
                user.email,
                _("The link lets them choose a password; it works once, within seven days."),
            ]
            return verbs.page(self, request, _("Invite %(name)s") % {"name": user}, form, lines, {})
        self._send_invitation(request, user)
        return HttpResponseRedirect(back)

    @action(
        description=gettext_lazy("Hand over to …"),
        permissions=["change"],
        url_path="hand-over",
        icon="swap_horiz",
    )
    def hand_over_person(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """All that this person has, to others."""
        back = page_url(User, object_id)

        def work() -> HttpResponse:
            users = _in_reach(request).filter(pk=object_id)
            return hand_over_page.asked(self, request, users, {}) or HttpResponseRedirect(back)

        return self.excused(request, work, back)

    @admin.action(description=gettext_lazy("Hand over to …"), permissions=["change"])
    def hand_over(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        """All that the selected users have, to others."""
        users = _in_reach(request).filter(pk__in=queryset.values("pk")).order_by("pk")
        return hand_over_page.asked(self, request, users, verbs.selection(request, "hand_over"))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Users are deactivated: what they did keeps its author."""
        return False

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        view = super().user_change_password
        return self.excused(request, lambda: view(request, id, form_url))

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        known = knows(request) or lookup.partition("__")[0] in ("id", *BRIEF)
        secret = lookup.startswith("password")
        return known and not secret and super().lookup_allowed(lookup, value, request)


class TeamTree(NamesInOrder):
    """Teams in the order of their tree: each behind the one that it is below, with how deep it stands."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        below: dict[Any, list[Team]] = {}
        there = {team.pk for team in self.result_list}
        for team in self.result_list:
            below.setdefault(team.parent_id if team.parent_id in there else None, []).append(team)
        if ORDER_VAR not in self.params:
            self.result_list = list(_walked(below, None, 0))


def _walked(below: dict[Any, list[Team]], parent: Any, depth: int) -> Iterator[Team]:
    for team in below.get(parent, ()):
        team.depth = depth  # type: ignore[attr-defined]
        yield team
        yield from _walked(below, team.pk, depth + 1)


@admin.register(Team)
class TeamAdmin(CapturedAdmin):
    menu = Menu(PEOPLE, "groups", 20)
    list_display = ("in_tree", "parent", "members", "created_at")
    list_select_related = ("parent",)
    list_per_page = 500
    search_fields = ("name__folded__contains",)
    autocomplete_fields = ("parent",)
    fields = ("name", "parent", "created_at")
    readonly_fields = ("created_at",)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[Any]:
        return TeamTree

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        """With how many people each team has."""
        active = Count("members", filter=Q(members__is_active=True))
        return super().get_queryset(request).annotate(people=active)

    @admin.display(description=gettext_lazy("name"), ordering="name")
    def in_tree(self, team: Team) -> Any:
        depth = min(getattr(team, "depth", 0), DEEPEST)
        return format_html('<span class="crm-tree crm-tree-{}">{}</span>', depth, team.name)

    @admin.display(description=gettext_lazy("people"), ordering="people")
    def members(self, team: Team) -> Any:
        url = f"{list_url(User)}?team__id__exact={team.pk}"
        return format_html('<a href="{}">{}</a>', url, team.people)  # type: ignore[attr-defined]

    def acting(self, request: HttpRequest, work: Callable[[], HttpResponse]) -> HttpResponse:
        def alone() -> HttpResponse:
            # Two teams put below each other at once would pass the check of a cycle one by one.
            lock(TEAM_TREE, "teams")
            return work()

        return super().acting(request, work if request.method in SAFE_METHODS else alone)


def _in_reach(request: HttpRequest) -> QuerySet[User]:
    """Whoever the administrator may change: a superuser's sessions and keys are for superusers to end."""
    return User.objects.visible_to(request.user, Permission.CHANGE)


@admin.register(Session)
class SessionAdmin(ReadOnlyAdmin):
    menu = Menu(PEOPLE, "devices", 30)
    list_display = (
        "user",
        "kind",
        "second_factor",
        "created_at",
        "last_used_at",
        "ip",
        "user_agent",
        "ended_at",
        "ended_because",
    )
    list_filter = ("kind", "ended_because")
    list_select_related = ("user",)
    search_fields = ("=user__username", "=ip")
    ordering = ("-last_used_at", "-id")
    exclude = ("refresh_digest",)
    actions = ("end",)

    @admin.action(description=gettext_lazy("End these sessions"), permissions=["end"])
    def end(self, request: HttpRequest, queryset: QuerySet) -> None:
        theirs = Session.objects.filter(pk__in=queryset.values("pk"), user__in=_in_reach(request))
        ended = theirs.end(Session.Ending.BY_ADMINISTRATOR)
        self.message_user(request, _("%(ended)s ended.") % {"ended": ended})


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    menu = Menu(PEOPLE, "key", 40)
    list_display = ("name", "prefix", "user", "scopes", "last_used_at", "expires_at", "revoked_at")
    list_select_related = ("user",)
    search_fields = ("=user__username", "=prefix", "name")
    ordering = ("-id",)
    exclude = ("digest",)
    actions = ("revoke",)

    @admin.action(description=gettext_lazy("Revoke these keys"), permissions=["end"])
    def revoke(self, request: HttpRequest, queryset: QuerySet) -> None:
        theirs = ApiKey.objects.filter(pk__in=queryset.values("pk"), user__in=_in_reach(request))
        live = theirs.filter(revoked_at=None)
        self.message_user(
            request, _("%(update)s revoked.") % {"update": live.update(revoked_at=timezone.now())}
        )


@admin.register(Passkey)
class PasskeyAdmin(ReadOnlyAdmin):
    """The passkeys of people; one's own are on the page Security."""

    menu = Menu(PEOPLE, "passkey", 45)
    list_display = ("name", "user", "backed_up", "created_at", "last_used_at")
    list_select_related = ("user",)
    search_fields = ("=user__username", "name")
    ordering = ("-id",)
    fields = ("user", "name", "backed_up", "created_at", "last_used_at")
    actions = ("remove",)

    @admin.action(
        description=gettext_lazy("Remove these passkeys; ends the sessions of their users"),
        permissions=["end"],
    )
    def remove(self, request: HttpRequest, queryset: QuerySet) -> None:
        theirs = Passkey.objects.filter(pk__in=queryset.values("pk"), user__in=_in_reach(request))
        rows = list(theirs.select_related("user"))
        for row in rows:
            passkeys.remove_lost(row.user, row.pk)
        self.message_user(request, _("%(n)d removed.") % {"n": len(rows)})


@admin.register(ExternalIdentity)
class ExternalIdentityAdmin(CapturedAdmin):
    """By what the identity provider names people. Made by their first sign-in, or here where the provider
    vouches for no e-mail addresses."""

    menu = Menu(PEOPLE, "badge", 55)
    list_display = ("subject", "issuer", "user", "created_at", "last_used_at")
    list_select_related = ("user",)
    search_fields = ("=subject", "=user__username")
    ordering = ("-id",)
    fields = ("user", ("issuer", "subject"), ("created_at", "last_used_at"))
    readonly_fields = ("created_at", "last_used_at")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if obj else self.readonly_fields

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        """Those of people whom one may change: an administrator connects nobody to a superuser."""
        return super().get_queryset(request).filter(user__in=_in_reach(request))

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        queryset = _in_reach(request).filter(is_active=True).order_by("username")
        return super().formfield_for_foreignkey(db_field, request, **options | {"queryset": queryset})

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"issuer": settings.OIDC_ISSUER} | super().get_changeform_initial_data(request)


@admin.register(ProvisionedGroup)
class ProvisionedGroupAdmin(ReadOnlyAdmin):
    """Groups that the identity provider has pushed over SCIM, who is in them, and what they give here."""

    menu = Menu(PEOPLE, "groups_2", 57)
    menu_title = gettext_lazy("Groups of the identity provider")
    list_display = ("display_name", "external_id", "role", "team", "size", "created_at")
    search_fields = ("display_name", "=external_id")
    ordering = ("display_name", "id")
    fields = (("display_name", "external_id"), ("role", "team"), "created_at", "people")
    readonly_fields = ("role", "team", "people")

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).annotate(size=Count("provisionedmember"))

    @admin.display(description=gettext_lazy("Role"))
    def role(self, group: ProvisionedGroup) -> str:
        given = groups.first_of(settings.OIDC_ROLES, {group.display_name, group.external_id})
        return str(dict(User.Role.choices).get(given, "")) if given else ""

    @admin.display(description=gettext_lazy("Team"))
    def team(self, group: ProvisionedGroup) -> str:
        return groups.first_of(settings.OIDC_TEAMS, {group.display_name, group.external_id}) or ""

    @admin.display(description=gettext_lazy("Members"))
    def size(self, group: Any) -> int:
        return group.size

    @admin.display(description=gettext_lazy("Members"))
    def people(self, group: ProvisionedGroup) -> str:
        names = [str(user) for user in group.members.order_by("username")[: SHOWN_MEMBERS + 1]]
        return ", ".join(names[:SHOWN_MEMBERS]) + (" …" if len(names) > SHOWN_MEMBERS else "")
