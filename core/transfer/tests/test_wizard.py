"""The import wizard of the admin site, the page of an import, and the dialog that exports a list."""

import re
from datetime import timedelta

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile

from core.accounts.tests.factories import UserFactory
from core.customization.tests.factories import FieldRightFactory, SavedViewFactory
from core.entities import locks
from core.second_connection import second_connection
from core.transfer import drafts
from core.transfer.models import ImportJob
from core.transfer.tasks import sweep_transfers
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
NEW, MAP = "/admin/core/importjob/new/", "/admin/core/importjob/map/"
FILE = "First;Mail;Town\nAda;ada@engine.example;Turin\nBob;nonsense;Oslo\n"
SENT = {"verb_sent": "1"}
# By which the API knows a page from a program.
BROWSER = {"accept": "text/html"}


@pytest.fixture
def rep(client):
    made = UserFactory(role="rep", is_staff=True)
    client.force_login(made)
    return made


@pytest.fixture
def uploaded(client, rep):
    """The wizard's second step, for a file of two leads of which one has no valid address."""
    file = SimpleUploadedFile("leads.csv", FILE.encode(), "text/csv")
    answer = client.post(NEW, {"entity": "lead", "file": file})
    assert answer.headers["location"] == MAP
    yield client.get(MAP)
    for name in default_storage.listdir(drafts.FOLDER)[1]:
        default_storage.delete(f"{drafts.FOLDER}/{name}")


def sent(shown, **more):
    """The form of the second step, every column mapped."""
    columns = {"column-0": "first_name", "column-1": "email", "column-2": "city"}
    return {"draft": shown.context["draft"].token, **columns, **more}


def job_of(client, answer):
    return client.get(answer.headers["location"]).context["job"]


def test_a_file_is_shown_as_it_is_read_with_where_its_columns_go_and_why(uploaded):
    shown = uploaded.context
    assert [(one["header"], one["field"], one["samples"]) for one in shown["columns"]][1] == (
        "Mail", "email", ["ada@engine.example", "nonsense"]
    )  # fmt: skip
    assert [one["why"] for one in shown["columns"]] != []
    assert {name: found for name, _label, _chosen, found in shown["readings"]}["delimiter"] == ";"
    assert shown["preview"]["rows"] == 2
    assert Lead.objects.count() == 0


def test_a_rehearsal_gives_the_figures_and_writes_nothing(client, uploaded):
    job = job_of(client, client.post(MAP, sent(uploaded, do="rehearse")))
    assert (job.read, job.created, job.failed, job.status) == (2, 1, 1, "finished")
    assert Lead.objects.count() == 0
    assert client.get(MAP).status_code == 200, "the file waits for the import"


def test_what_was_rehearsed_is_imported_from_its_page(client, uploaded):
    job = job_of(client, client.post(MAP, sent(uploaded, do="rehearse")))
    page = f"/admin/core/importjob/{job.pk}/change/"
    assert client.get(page).context["may_import_now"]
    now = {"do": "import_rehearsed", "job": job.pk}
    # Other settings than the rehearsal had, and another rehearsal's page: nothing is imported.
    client.post(MAP, sent(uploaded, do="look", skip_errors="false"))
    assert not client.get(page).context["may_import_now"]
    assert "changed since that rehearsal" in client.post(MAP, now).context["refused"]
    again = job_of(client, client.post(MAP, sent(uploaded, do="rehearse")))
    assert "changed since that rehearsal" in client.post(MAP, now).context["refused"]
    assert Lead.objects.count() == 0
    made = job_of(client, client.post(MAP, now | {"job": again.pk}))
    assert (made.created, made.failed, Lead.objects.get().city) == (1, 1, "Turin")
    assert not client.get(f"/admin/core/importjob/{again.pk}/change/").context["may_import_now"]
    errors = client.get(f"/admin/core/importjob/{made.pk}/errors.csv")
    assert errors.headers["Content-Disposition"] == 'attachment; filename="leads_errors.csv"'


def test_a_file_of_more_columns_than_a_form_has_inputs_is_refused_in_words(client, rep, settings):
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 42
    file = SimpleUploadedFile("leads.csv", b"First;Mail;Town\nAda;ada@engine.example;Turin\n", "text/csv")
    client.post(NEW, {"entity": "lead", "file": file})
    shown = client.get(MAP).context
    assert shown["refused"] == "The file has 3 columns; up to 2 are mapped here. Import it over the API."
    assert "columns" not in shown
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 43
    assert len(client.get(MAP).context["columns"]) == 3


def test_an_import_has_an_error_file_and_is_undone(client, rep, uploaded):
    job = job_of(client, client.post(MAP, sent(uploaded, do="import")))
    assert (job.user, job.created, job.failed) == (rep, 1, 1)
    assert list(Lead.objects.values_list("first_name", "city")) == [("Ada", "Turin")]
    assert client.get(MAP).headers["location"] == NEW, "the file is gone"
    page = f"/admin/core/importjob/{job.pk}/"
    errors = b"".join(client.get(f"{page}errors.csv").streaming_content).decode()
    assert errors.splitlines()[1].startswith("Bob,nonsense,Oslo,3,")
    assert client.get(f"{page}undo/").status_code == 200
    assert Lead.objects.count() == 1
    undone = job_of(client, client.post(f"{page}undo/", SENT))
    assert (undone.kind, undone.removed) == ("undo", 1)
    assert Lead.objects.count() == 0


def test_columns_go_where_one_says_and_other_settings_count(client, uploaded):
    job = job_of(
        client, client.post(MAP, sent(uploaded, do="import", **{"column-2": ""}, skip_errors="false"))
    )
    assert [column["field"] for column in job.settings["columns"]] == ["first_name", "email", None]
    assert job.settings["options"]["skip_errors"] is False


def test_what_cannot_be_imported_is_said_and_nothing_begins(client, uploaded):
    nothing = {"column-0": "", "column-1": "", "column-2": ""}
    answer = client.post(MAP, sent(uploaded, do="import", **nothing))
    assert "The mapping names no field" in answer.content.decode()
    assert ImportJob.objects.count() == 0


def test_a_page_of_another_file_than_the_sessions_imports_nothing(client, uploaded):
    other = SimpleUploadedFile("others.csv", b"First\nCyd\n", "text/csv")
    client.post(NEW, {"entity": "lead", "file": other})
    answer = client.post(MAP, sent(uploaded, do="import"))
    assert "Another file was chosen meanwhile" in answer.content.decode()
    assert answer.context["draft"].name == "others.csv"
    assert ImportJob.objects.count() == 0
    job_of(
        client,
        client.post(MAP, {"draft": answer.context["draft"].token, "column-0": "first_name", "do": "import"}),
    )
    assert list(Lead.objects.values_list("first_name", flat=True)) == ["Cyd"]


def test_of_two_imports_of_a_file_at_once_one_is_made(client, uploaded):
    held = f"{drafts.FOLDER}/{uploaded.context['draft'].token}"
    with second_connection() as other:
        other.rows("SELECT pg_advisory_lock(%s, %s)", [locks.IMPORT_DRAFT, locks._number(held)])
        answer = client.post(MAP, sent(uploaded, do="import"))
        assert "This file is being imported at this moment" in answer.content.decode()
        assert ImportJob.objects.count() == 0
        other.rows("SELECT pg_advisory_unlock_all()", [])
    client.post(MAP, sent(uploaded, do="import"))
    assert client.post(MAP, sent(uploaded, do="import")).headers["location"] == NEW
    assert (ImportJob.objects.count(), Lead.objects.count()) == (1, 1)


def test_a_page_is_sent_once_and_enter_looks_again(uploaded):
    page = uploaded.content.decode()
    assert "crm/once.js" in page
    assert (
        re.search(r'<form method="post" data-once>.*?<button [^>]*value="(\w+)"', page, re.DOTALL)[1]
        == "look"
    )


@pytest.mark.parametrize("do", ["look", "reread", ""])
def test_where_columns_go_stays_while_the_file_is_read_the_same(client, uploaded, do):
    given = sent(uploaded, do=do, date_format="DMY", **{"column-1": "", "column-2": "company"})
    shown = client.post(MAP, given).context
    assert [one["field"] for one in shown["columns"]] == ["first_name", None, "company"]


@pytest.mark.parametrize("do", ["rehearse", "import"])
def test_a_file_that_is_read_differently_is_looked_at_before_it_is_imported(client, uploaded, do):
    answer = client.post(MAP, sent(uploaded, do=do, delimiter=","))
    assert "The file is read differently now" in answer.content.decode()
    assert [one["header"] for one in answer.context["columns"]] == ["First;Mail;Town"]
    assert ImportJob.objects.count() == 0


def test_a_wide_file_is_sent_in_one_input_for_each_column(client, rep):
    names = ";".join(f"Word {place}" for place in range(900))
    file = SimpleUploadedFile("wide.csv", f"First;{names}\nAda{';x' * 900}\n".encode(), "text/csv")
    client.post(NEW, {"entity": "lead", "file": file})
    shown = client.get(MAP)
    given = {one["name"]: "" for one in shown.context["columns"]} | {"column-0": "first_name"}
    assert shown.content.decode().count('name="header"') == 0
    job = job_of(client, client.post(MAP, {"draft": shown.context["draft"].token, "do": "import", **given}))
    assert (job.created, len(job.settings["columns"])) == (1, 901)


def test_an_upload_that_is_left_behind_is_gone_after_a_day(client, uploaded, monkeypatch):
    sweep_transfers()
    assert client.get(MAP).status_code == 200
    monkeypatch.setattr(drafts, "KEPT_FOR", timedelta(seconds=-1))
    assert client.get(MAP).headers["location"] == NEW
    assert len(default_storage.listdir(drafts.FOLDER)[1]) == 1
    sweep_transfers()
    assert default_storage.listdir(drafts.FOLDER)[1] == []


def test_who_may_import_no_more_learns_it(client, rep, uploaded):
    rep.role = "viewer"
    rep.save()
    answer = client.post(MAP, sent(uploaded, do="import"), follow=True)
    assert "Your role imports nothing." in answer.content.decode()
    assert ImportJob.objects.count() == 0


def test_fields_that_are_hidden_are_not_offered(client, uploaded):
    FieldRightFactory(role="rep", entity="lead", field="email", access="hidden")
    offered = {name for name, _label in client.get(MAP).context["columns"][0]["options"]}
    assert "email" not in offered
    assert "city" in offered


def test_imports_are_everyones_own_and_administrators_look_at_all(client, uploaded):
    job = job_of(client, client.post(MAP, sent(uploaded, do="import")))
    page = f"/admin/core/importjob/{job.pk}/"
    client.force_login(UserFactory(role="rep", is_staff=True))
    assert client.get(f"{page}errors.csv").status_code == 404
    assert client.get(f"{page}progress/").status_code == 404
    assert client.post(f"{page}undo/", SENT).status_code in (302, 403, 404)
    assert job.pk not in [row.pk for row in client.get("/admin/core/importjob/").context["cl"].result_list]
    client.force_login(UserFactory(role="admin", is_staff=True))
    assert client.get(f"{page}change/").status_code == 200
    assert client.post(f"{page}undo/", SENT).status_code in (302, 403, 404), "an administrator looks"
    assert Lead.objects.count() == 1


def test_a_viewer_imports_nothing(client):
    client.force_login(UserFactory(role="viewer", is_staff=True))
    file = SimpleUploadedFile("leads.csv", FILE.encode(), "text/csv")
    assert client.post(NEW, {"entity": "lead", "file": file}).headers["location"] == "/admin/core/importjob/"
    assert ImportJob.objects.count() == 0


def test_the_figures_are_asked_for_while_it_runs_and_then_the_page(client, rep):
    job = ImportJob.objects.create(user=rep, entity="lead", status="running", rows=10, read=4)
    page = f"/admin/core/importjob/{job.pk}/progress/"
    answer = client.get(page)
    assert 'hx-trigger="every 1s"' in answer.content.decode()
    assert 'value="40"' in answer.content.decode()
    assert "HX-Refresh" not in answer.headers
    ImportJob.objects.update(status="finished")
    assert client.get(page).headers["HX-Refresh"] == "true"


def test_a_running_import_is_cancelled(client, rep):
    job = ImportJob.objects.create(user=rep, entity="lead", status="running")
    client.post(f"/admin/core/importjob/{job.pk}/cancel/", SENT)
    job.refresh_from_db()
    assert job.cancel_requested is True


def test_a_list_is_exported_as_it_is_narrowed(client, rep):
    LeadFactory(first_name="Ada", status="new", city="Turin", owner=rep)
    LeadFactory(first_name="Bob", status="contacted", owner=rep)
    LeadFactory(first_name="Cyd", status="new")
    page = client.get("/admin/lead_management/lead/", {"status__exact": "new"})
    [link] = [one for one in page.context["list_links"] if one.icon == "download"]
    dialog = client.get(link.url)
    assert dialog.context["count"] == 1
    given = dict(dialog.context["hidden"]) | {"format": "csv", "fields": ["first_name", "city"]}
    answer = client.get(dialog.context["action"], given, headers=BROWSER)
    assert b"".join(answer.streaming_content).decode().lstrip("\ufeff").splitlines() == [
        "first_name,city",
        "Ada,Turin",
    ]


def test_a_view_is_exported_with_its_own_search_and_order(client, rep):
    for first, city in (("Ada", "Turin"), ("Adam", "Turin"), ("Ada", "Oslo"), ("Bob", "Turin")):
        LeadFactory(first_name=first, last_name="X", city=city, owner=rep)
    view = SavedViewFactory(
        owner=rep, entity="lead", conditions={"city": "Turin"}, search="ada", ordering="-first_name"
    )
    dialog = client.get("/admin/export/", {"of": "lead", "view": view.pk, "q": "x"})
    hidden = dict(dialog.context["hidden"])
    assert hidden == {"view": str(view.pk), "search": "x"}
    assert "none chosen: those of the view" in dialog.content.decode()
    given = hidden | {"format": "csv", "fields": ["first_name", "city"]}
    answer = client.get(dialog.context["action"], given, headers=BROWSER)
    assert b"".join(answer.streaming_content).decode().lstrip("\ufeff").splitlines() == [
        "first_name,city",
        "Adam,Turin",
        "Ada,Turin",
    ]


def test_a_list_that_is_counted_up_to_a_limit_has_more_than_that(client, rep, settings):
    LeadFactory.create_batch(3, owner=rep)
    assert "3 records, as the list shows them" in client.get("/admin/export/?of=lead").content.decode()
    settings.CRM = {**settings.CRM, "COUNT_LIMIT": 2}
    assert "More than 2 records" in client.get("/admin/export/?of=lead").content.decode()


def test_what_a_file_cannot_be_narrowed_by_is_said(client, rep):
    address = "/admin/export/?of=opportunity&closing=won_this_month"
    assert client.get(address).context["left_out"] == ["Closing"]
    assert client.get("/admin/export/?of=nothing").status_code == 404
