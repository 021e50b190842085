"""What people read in German and French, and what machines read in any language."""

import html
import re
from datetime import date, timedelta
from decimal import Decimal
from threading import Event

import pytest
from django.conf import settings
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language, override

from backend.development import messages
from core import labels, standalone_runner
from core.accounts import password_mails
from core.accounts.models import PasswordMail, User
from core.accounts.tests.factories import PASSWORD
from core.admin import formats
from core.agents.undoing import Effect
from core.conditions.words import value_in_words
from core.customization.tests.factories import CustomFieldFactory
from core.entities import entities
from core.entities.custom import custom_column
from core.notifications.models import Notification
from core.notifications.wording import body_of, title_of
from core.transfer.models import ImportIssue, ImportJob
from core.transfer.tests.uploads import upload
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory
from opportunities.tests.factories import OpportunityFactory
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db
LEADS = "/api/v1/leads/"
# Long enough to stand in a page by nobody's chance.
LONG = 12
# What German says with the same word, and what our data say themselves.
SHOWN = re.compile(r">([^<>]+)<|(?:title|aria-label|placeholder)=\"([^\"]*)\"")


@pytest.fixture
def signed_in():
    """signed_in(user) → a client with an access token, as an app of theirs has."""

    def sign_in(user):
        client = Client()
        answer = client.post(
            "/api/auth/login/",
            {"username": user.username, "password": PASSWORD},
            content_type="application/json",
        )
        token = answer.json()["access"]
        return Client(headers={"Authorization": f"Bearer {token}"})

    return sign_in


@pytest.fixture
def site(client, make_user):
    """site(language) → a browser in which an administrator with this language is signed in."""

    def sign_in(language):
        user = make_user("admin", is_staff=True, language=language, username="seller", first_name="Ada")
        client.force_login(user)
        return client

    return sign_in


def english_msgids(language):
    """The msgids whose translation is another text, by what stands between their placeholders."""
    catalog = messages.read(language)
    for message in catalog:
        if isinstance(message.id, str) and len(message.id) > LONG and message.string != message.id:
            yield message.id


def texts(page):
    """What a page shows: its texts, and those of tooltips and labels."""
    body = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    body = re.sub(r"<span class=\"material-symbols[^>]*>[^<]*<", "<", body)  # icons by their names
    found = (first or second for first, second in SHOWN.findall(body))
    return {" ".join(html.unescape(text).split()) for text in found}


@pytest.mark.parametrize("language", ["de", "fr"])
def test_a_seller_reads_no_english_of_ours(site, language):
    browser = site(language)
    user = User.objects.get(username="seller")
    lead = LeadFactory(company_name="Motoren AG", owner=user, status="qualified", lead_score=90)
    deal = OpportunityFactory(owner=user)
    TaskFactory(title="Rufen", assigned_to=user, due_date=timezone.now() - timedelta(days=3))
    pages = (
        "/admin/",
        "/admin/lead_management/lead/",
        f"/admin/lead_management/lead/{lead.pk}/change/",
        "/admin/lead_management/lead/board/",
        "/admin/opportunities/opportunity/board/",
        f"/admin/opportunities/opportunity/{deal.pk}/change/",
        "/admin/tasks/task/",
        "/admin/calendar/",
        "/admin/core/workflow/add/",
        reverse("admin:core_import_upload"),
        reverse("admin:core_reports"),
        f"/admin/core/user/{user.pk}/change/",
        reverse("admin:core_duplicates"),
    )
    known = set(english_msgids(language))
    left = {}
    for address in pages:
        answer = browser.get(address)
        assert answer.status_code == 200, address
        assert answer.headers["Content-Language"] == language
        assert f'lang="{language}"' in answer.text, address
        shown = texts(answer.text)
        lower = {text[:1].lower() + text[1:] for text in shown}
        if english := sorted(known & (shown | lower)):
            left[address] = english
    assert left == {}, left


def test_dates_and_money_are_written_as_the_reader_does():
    with override("de"):
        assert formats.money(Decimal(16300), "EUR") == "16.300\xa0€"
        assert formats.relative_day(date(2026, 3, 1), date(2026, 3, 4)) == "vor 3 Tagen"
    with override("fr"):
        assert formats.relative_day(date(2026, 3, 1), date(2026, 3, 4)) == "il y a 3 jours"
    with override("en"):
        assert formats.money(Decimal(16300), "EUR") == "€16,300"


def test_a_form_reads_what_it_shows(site):
    browser = site("de")
    lead = LeadFactory(estimated_value="1234.50", next_follow_up_at=timezone.now())
    page = browser.get(f"/admin/lead_management/lead/{lead.pk}/change/")
    form = page.context["adminform"].form
    [day, clock] = form["next_follow_up_at"].value(), None
    shown = form.fields["next_follow_up_at"].widget.decompress(day)
    local = timezone.localtime(day)
    assert (shown[0], clock) == (local.date(), None)
    assert f'value="{local:%d.%m.%Y}"' in page.text
    assert f'data-id="{lead.pk}"' in browser.get("/admin/lead_management/lead/board/").text


def test_an_error_is_in_the_language_of_the_request_or_of_the_user(rep, signed_in):
    english, german = signed_in(rep), {"Accept-Language": "de-AT, en;q=0.5"}
    asked = {"data": {"email": "no"}, "content_type": "application/json"}
    plain = english.post(LEADS, **asked)
    assert plain.json()["errors"][0]["message"] == "Enter a valid e-mail address."
    by_header = english.post(LEADS, **asked, headers=german)
    assert by_header.json()["errors"][0] == plain.json()["errors"][0] | {
        "message": "Geben Sie eine gültige E-Mail-Adresse ein."
    }
    assert "Accept-Language" in by_header.headers["Vary"]
    User.objects.filter(pk=rep.pk).update(language="fr")
    by_user = english.post(LEADS, **asked, headers=german)
    assert by_user.json()["errors"][0]["message"] == "Saisissez une adresse e-mail valide."


def test_one_chooses_a_language_among_those_there_are(rep, signed_in):
    client, url = signed_in(rep), "/api/v1/notifications/preferences/"
    refused = client.patch(url, {"language": "tlh"}, content_type="application/json")
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["field"] == "language"
    chosen = client.patch(url, {"language": "de"}, content_type="application/json")
    assert (chosen.status_code, chosen.json()["language"]) == (200, "de")
    assert client.get("/api/auth/me/").json()["language"] == "de"


def test_a_mail_is_in_the_language_of_whom_it_is_for(make_user, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    mail.outbox = []
    for language in ("de", "fr", ""):
        user = make_user(language=language)
        PasswordMail.objects.create(email=user.email, kind=PasswordMail.Kind.RESET)
    with override("fr"):  # of whoever has it sent
        password_mails.send_due()
    assert sorted(message.subject for message in mail.outbox) == [
        "A new password for CRM",
        "Ein neues Passwort für CRM",
        "Un nouveau mot de passe pour CRM",
    ]


def test_a_notification_is_stored_in_english_and_said_to_its_reader():
    row = Notification(type="assignment", title="Ada assigned you the lead Grace Hopper")
    digest = Notification(type="digest", title="x", data={"kind": "daily", "day": "2026-03-02"})
    with override("de"):
        assert title_of(row) == "Ada hat Ihnen zugewiesen (Lead): Grace Hopper"
        assert title_of(digest) == "Ihre tägliche Zusammenfassung, Montag, 2. März"
        assert title_of(Notification(type="reminder", title="Reminder: Call Bob")) == "Erinnerung: Call Bob"
    assert title_of(row) == row.title


def test_what_people_wrote_is_translated_by_nobody():
    words = "Changed by the customer"
    with override("de"):
        assert body_of(Notification(type="update", body="Changed by Ada")) == "Geändert von Ada"
        assert body_of(Notification(type="mention", body=words)) == words
        assert body_of(Notification(type="comment", body="By Friday")) == "By Friday"
        row = Notification(type="workflow", title="Reminder: Call Bob", body="Reminder: Call Bob")
        assert (title_of(row), body_of(row)) == (row.title, row.body)
        gone = Notification(type="in_use_deleted", title="The tag vip was deleted, which 'Team A' uses")
        assert title_of(gone).startswith("Das Schlagwort vip ")
        many = Notification(type="workflow", title="3 more from the workflow 'Web push works'")
        assert title_of(many) == "3 weitere vom Workflow 'Web push works'"


def test_machines_read_the_same_in_every_language(make_user, signed_in):
    user = make_user("admin", username="machine")
    lead = LeadFactory(status="qualified", lead_source="social_media", owner=user)
    asked = (
        f"{LEADS}{lead.pk}/",
        f"{LEADS}?status=qualified",
        "/api/v1/export/leads/?format=csv",
        "/api/v1/changes/?entity=lead",
        "/api/schema/",
    )
    answers = {}
    for language in (code for code, _name in settings.LANGUAGES):
        User.objects.filter(pk=user.pk).update(language=language)
        client = signed_in(user)
        found = [client.get(url, headers={"Accept-Language": language}) for url in asked]
        bodies = [b"".join(one) if one.streaming else one.content for one in found]
        stored = upload_of(client)
        answers[language] = ([one.headers.get("ETag") for one in found], bodies, stored)
    # Signing in writes no change that the feed would show, and raises no version.
    assert answers["de"] == answers["en"]
    assert answers["fr"] == answers["en"]


def upload_of(client):
    """What is stored of an import whose only row is refused."""
    upload(client, "First Name,Email\nAda,no\n")
    return ImportIssue.objects.latest("id").errors


def test_reports_of_imports_are_in_english(make_user, signed_in):
    user = make_user("admin", username="machine", language="de")
    client = signed_in(user)
    refused = upload(client, "First Name,Email\nAda,no\n").json()
    assert ImportJob.objects.get(pk=refused["id"]).message.startswith("Nothing was imported. Row 2: ")
    lines = client.get(f"/api/v1/imports/{refused['id']}/errors.csv")
    assert b"Enter a valid e-mail address." in b"".join(lines.streaming_content)
    first, second = (upload(client, "first_name\nA\n").json() for _time in range(2))
    [warning] = ImportJob.objects.get(pk=second["id"]).warnings
    assert warning["message"].startswith("The same file was imported before, as import ")
    kept = Lead.objects.earliest("id")
    client.patch(f"{LEADS}{kept.pk}/", {"job_title": "Head"}, content_type="application/json")
    client.post(f"/api/v1/imports/{first['id']}/undo/", content_type="application/json")
    [issue] = ImportIssue.objects.filter(kind="kept")
    assert issue.errors == [{"code": "changed_since", "message": "Changed since the import."}]


def test_what_people_defined_is_translated_by_nobody():
    own = CustomFieldFactory(entity="lead", key="rate", label="Rate", type="choice", choices=["note", "new"])
    column = custom_column(own)
    with override("de"):
        assert labels.field_title(column) == "Rate"
        assert column.field_type.options() == [("note", "Note"), ("new", "New")]
        assert value_in_words(column.field_type, "new") == "New"
        assert labels.field_title(entities["lead"].by_name["job_title"]) == "Position"
        assert entities["lead"].by_name["status"].field_type.title_of("new") == "Neu"


def test_a_client_that_undoes_needs_the_same_scopes_in_every_language():
    for language in ("en", "de", "fr"):
        with override(language):
            assert [Effect(name, 1).resource for name in ("comment", "activity", "lead")] == [
                "comments",
                "activities",
                "leads",
            ]


def test_work_without_a_broker_is_done_in_english(monkeypatch):
    seen = []
    stop = Event()

    def job(stopped):
        seen.append(get_language())
        stop.set()
        return 1

    monkeypatch.setattr(standalone_runner, "background_jobs", [job])
    with override("de"):
        standalone_runner.run_once()
        stop.clear()
        standalone_runner.run_forever(stop)
        assert get_language() == "de"
    assert seen == ["en", "en"]
