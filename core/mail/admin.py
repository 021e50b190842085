"""Sent mail in the admin site, to look at. Templates are in core.workflows.email_templates_admin."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from core.admin.navigation import AUTOMATE, Menu
from core.admin.read_only import ReadOnlyAdmin
from core.mail.models import EmailMessage


@admin.register(EmailMessage)
class EmailMessageAdmin(ReadOnlyAdmin):
    menu = Menu(AUTOMATE, "outgoing_mail", 31)
    menu_title = _("Sent e-mail")
    list_display = ("id", "subject", "to", "status", "attempts", "error", "created_at", "sent_at")
    list_filter = ("status",)
    ordering = ("-id",)
