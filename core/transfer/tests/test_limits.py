"""What an import takes, and what it tells of what it did not take."""

import pytest

from core.accounts.tests.factories import TeamFactory
from core.transfer.models import ImportJob
from core.transfer.tests.uploads import upload
from lead_management.models import Lead

pytestmark = pytest.mark.django_db
CELL = 1 << 20


def refused(response):
    assert response.status_code == 400, response.content[:300]
    assert len(response.content) < 2_000
    assert Lead.objects.count() == 0
    return response.json()["errors"][0]["code"]


def test_a_thousand_columns_are_taken_and_no_more(admin):
    names = [f"c{i}" for i in range(999)]
    line = ",".join(["Ada", *"x" * 999])
    assert upload(admin, f"{','.join(['first_name', *names])}\n{line}\n").json()["created"] == 1
    Lead.objects.all().delete()
    line = f"{line},x"
    assert (
        refused(upload(admin, f"{','.join(['first_name', *names, 'more'])}\n{line}\n")) == "too_many_columns"
    )


@pytest.mark.parametrize("filling", ["x", "1", "-", " ", "1.", "a@"])
def test_a_cell_of_five_megabytes_is_refused(admin, filling):
    cell = filling * (5 * CELL // len(filling))
    assert refused(upload(admin, f"first_name,notes\nAda,{cell}\n")) == "cell_too_large"


@pytest.mark.parametrize("filling", ["x", "1", "-", "1.", "a@"])
@pytest.mark.parametrize("field", ["email", "phone", "website", "estimated_value"])
def test_a_cell_that_is_refused_is_answered_cut_and_kept_whole_in_the_error_file(admin, filling, field):
    cell = (filling * CELL)[: CELL - 10]
    response = upload(admin, f"first_name,{field}\nAda,{cell}\n")
    assert response.status_code == 200
    assert len(response.content) < 10_000
    body = response.json()
    if body["errors"]:
        assert len(body["error_details"][0]["data"][field]) == 500
        assert len(body["error_details"][0]["errors"][0]["value"]) <= 200
        whole = b"".join(admin.get(body["errors_url"]).streaming_content).decode()
        assert cell in whole


# -- addresses of colleagues --------------------------------------------------------------------


def tried(client, address):
    """What a dry run tells of a row that names its assignee so."""
    body = upload(client, f"first_name,assigned_to\nAda,{address}\n", dry_run="true").json()
    reported = {k: v for k, v in body.items() if k not in ("id", "url", "undo_url", "errors_url", "file")}
    return {k: v for k, v in reported.items() if not k.endswith("_at") and k != "rows_per_second"}


def test_a_rep_does_not_learn_whose_address_is_known(api, make_user):
    rep, colleague = make_user(), make_user()
    known = tried(api(rep), colleague.email)
    unknown = tried(api(rep), "x" * len(colleague.email.partition("@")[0]) + "@crm.example")
    assert str(known).replace(colleague.email, "?") == str(unknown).replace(
        "x" * len(colleague.email.partition("@")[0]) + "@crm.example", "?"
    )
    assert Lead.objects.count() == 0


def test_ones_own_address_and_those_of_a_managers_people_are_found(api, make_user):
    team = TeamFactory(name="West")
    manager, theirs = make_user("manager", team=team), make_user(team=team)
    mapping = {"first_name": "first_name", "assigned_to": "assigned_to"}
    for client, address in ((api(theirs), theirs.email), (api(manager), theirs.email)):
        text = f"first_name,assigned_to\nAda,{address}\n"
        assert upload(client, text, mapping=mapping).json()["created"] == 1
    assert list(Lead.objects.values_list("assigned_to", flat=True)) == [theirs.pk, theirs.pk]


def test_a_colleague_is_named_by_user_name_by_everyone(api, make_user):
    rep, colleague = make_user(), make_user()
    mapping = {"first_name": "first_name", "assigned_to": "assigned_to"}
    text = f"first_name,assigned_to\nAda,{rep.username}\nBob,{colleague.username}\n"
    upload(api(rep), text, mapping=mapping)
    job = ImportJob.objects.get()
    reported = [error for issue in job.issues.all() for error in issue.errors]
    assert not any(error["code"] == "does_not_exist" for error in reported)
