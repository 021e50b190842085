"""What the importer says the file's words mean, and what stands where it says nothing."""

import io

import pytest

from core.changes import audit_context
from core.customization.tests.factories import CustomFieldFactory
from core.entities import entities
from core.errors import InvalidError
from core.transfer.importing import Import
from core.transfer.options import parse
from core.transfer.planning import plan
from core.transfer.reading import open_table
from lead_management.models import Lead

pytestmark = pytest.mark.django_db


@pytest.fixture
def load(admin_user):
    def run(text, entity="lead", user=admin_user, **options):
        asked = parse(options)
        made = plan(entities[entity], open_table(io.BytesIO(text.encode()), asked.reading), asked, user)
        with audit_context(user, source="import", import_id=77):
            report = Import(made).run()
        return report.figures(), list(report)

    return run


# ---- value_mapping ----


def test_owners_are_renamed_even_where_the_file_names_nobody_here(load, make_user, admin_user):
    rep = make_user("rep", username="ines")
    figures, _ = load(
        "first_name,owner\nA,Bob Boss\nB,ines\nC,Stranger\n", value_mapping={"owner": {"Bob Boss": "ines"}}
    )
    assert (figures["created"], figures["failed"]) == (3, 0)
    owners = dict(Lead.objects.values_list("first_name", "owner_id"))
    assert owners == {"A": rep.pk, "B": rep.pk, "C": admin_user.pk}


def test_whom_nobody_knows_is_whom_the_star_says(load, make_user):
    ines, tom = make_user("rep", username="ines"), make_user("rep", username="tom")
    load("first_name,owner\nA,ines\nB,Stranger\n", value_mapping={"owner": {"*": "tom"}})
    assert dict(Lead.objects.values_list("first_name", "owner_id")) == {"A": ines.pk, "B": tom.pk}


def test_items_of_lists_are_renamed_one_by_one(load):
    load("first_name,tags\nA,hot;Cold Lead\n", value_mapping={"tags": {"hot": "vip"}})
    assert Lead.objects.get().tags == ["vip", "Cold Lead"]


def test_numbers_and_times_are_renamed_as_they_stand(load):
    load(
        "first_name,estimated_value,next_follow_up_at\nA,free,someday\nB,-5,2030-01-02\nC,lots,2030-01-03\n",
        value_mapping={
            "estimated_value": {"Free": 0, "5": 7, "-5": "9", "*": "1"},
            "next_follow_up_at": {"someday": "2031-01-01"},
        },
    )
    found = {lead.first_name: lead for lead in Lead.objects.all()}
    assert {name: str(lead.estimated_value) for name, lead in found.items()} == {
        "A": "0.00", "B": "9.00", "C": "1.00",
    }  # fmt: skip
    assert found["A"].next_follow_up_at.isoformat() == "2031-01-01T00:00:00+00:00"


def test_custom_choices_are_renamed_too(load):
    CustomFieldFactory(entity="lead", key="lines", type="multi_choice", choices=["alpha", "beta"])
    load("first_name,lines\nA,Old Alpha;beta\n", value_mapping={"lines": {"old alpha": "alpha"}})
    assert Lead.objects.get().custom_fields == {"lines": ["alpha", "beta"]}


@pytest.mark.parametrize(
    ("value_mapping", "field", "code"),
    [
        ({"nonsense": {"a": "b"}}, "value_mapping.nonsense", "unknown_field"),
        ({"status": {"x": None}}, "value_mapping", "invalid"),
        ({"status": {"x": ["new"]}}, "value_mapping", "invalid"),
    ],
)
def test_a_value_mapping_that_says_nothing_is_refused(load, value_mapping, field, code):
    with pytest.raises(InvalidError) as refused:
        load("first_name\nA\n", value_mapping=value_mapping)
    assert [(i.field, i.code) for i in refused.value.issues] == [(field, code)]


# ---- default_values ----


@pytest.mark.parametrize("named", ["ines", "ines@crm.example", "id"])
def test_a_default_owner_is_named_as_in_a_cell_or_by_id(load, make_user, named):
    ines = make_user("rep", username="ines")
    load("first_name\nA\n", default_values={"owner": ines.pk if named == "id" else named})
    assert Lead.objects.get().owner_id == ines.pk


@pytest.mark.parametrize("default", [999_999_999, "nobody", True, 1.5, 10**30])
def test_a_default_owner_who_is_not_there_is_refused_at_once(load, default):
    with pytest.raises(InvalidError) as refused:
        load("first_name\nA\n", default_values={"owner": default})
    assert refused.value.issues[0].field == "default_values.owner"
    assert Lead.objects.count() == 0


def test_no_default_points_at_a_record_that_the_importer_does_not_see(load, make_user, admin_user):
    company = load("name\nSecret\n", "company") and entities["company"].model.objects.get()
    rep = make_user("rep")
    with pytest.raises(InvalidError) as refused:
        load("first_name,last_name\nA,B\n", "contact", user=rep, default_values={"company": company.pk})
    assert [(i.field, i.code) for i in refused.value.issues] == [("default_values.company", "does_not_exist")]
