"""E-mail templates and sent mail in the admin site, to look at."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from core.admin.navigation import AUTOMATE, Menu
from core.admin.read_only import ReadOnlyAdmin
from core.mail.models import EmailMessage, EmailTemplate


@admin.register(EmailTemplate)
class EmailTemplateAdmin(ReadOnlyAdmin):
    menu = Menu(AUTOMATE, "drafts", 30)
    list_display = ("key", "name", "entity", "updated_at")
    search_fields = ("key", "name")
    ordering = ("name", "id")


@admin.register(EmailMessage)
class EmailMessageAdmin(ReadOnlyAdmin):
    menu = Menu(AUTOMATE, "outgoing_mail", 31)
    menu_title = _("Sent e-mail")
    list_display = ("id", "subject", "to", "status", "attempts", "error", "created_at", "sent_at")
    list_filter = ("status",)
    ordering = ("-id",)
