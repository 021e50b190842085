"""Workflows in sentences."""

import pytest

from core.workflows.sentences import compared, plain_words, sentences

pytestmark = pytest.mark.django_db


def lines_of(trigger, settings, *actions):
    steps = [{"type": name, "params": given} for name, given in actions]
    given = {"trigger_type": trigger, "trigger_conditions": settings, "actions": steps}
    return [(one.word, one.depth, one.text, one.details) for one in sentences(given, None)]


def test_a_workflow_reads_as_when_if_then():
    conditions = {"all": [{"field": "lead_score", "op": "gt", "value": 70}, {"city": "Oslo"}]}
    found = lines_of(
        "record_created",
        {"model": "lead", "conditions": conditions},
        ("add_tag", {"tag": "hot"}),
        ("update_field", {"field": "status", "value": "contacted"}),
    )
    assert found == [
        ("when", 0, "a lead was created", ()),
        ("if", 0, "Lead score is above 70", ()),
        ("if", 0, "City is Oslo", ()),
        ("then", 0, "add tags to the record", ("Tag: hot",)),
        ("then", 0, "set a field of the record", ("Field: Status", "Value: contacted")),
    ]


def test_settings_of_a_trigger_are_said_with_the_words_of_their_field():
    settings = {"model": "lead", "field": "status", "to": "qualified"}
    assert lines_of("field_changed", settings)[0] == (
        "when", 0, "one field changed (leads)", ("Field: Status", "To: Qualified")
    )  # fmt: skip
    settings = {"model": "lead", "field": "next_follow_up_at", "offset": {"days": -3}}
    assert lines_of("date_reached", settings)[0][3] == ("Field: Next follow up at", "Offset: 3 days before")


def test_branches_stand_below_their_condition():
    arms = {
        "conditions": {"city": "Oslo"},
        "then": [{"type": "add_tag", "params": {"tag": "north"}}],
        "else": [{"type": "stop", "params": {}}],
    }
    found = lines_of("record_created", {"model": "lead"}, ("branch", arms))
    assert [one[:3] for one in found[1:]] == [
        ("then", 0, "if City is Oslo:"),
        ("then", 1, "add tags to the record"),
        ("else", 1, "end the run here"),
    ]


def test_secrets_stay_under_their_mask():
    call = ("webhook", {"url": "https://hooks.example/x", "secret": "s3cr3t"})
    found = str(lines_of("record_created", {"model": "lead"}, call))
    assert "s3cr3t" not in found


def test_versions_are_compared_line_by_line():
    first = sentences(
        {"trigger_type": "manual", "actions": [{"type": "add_tag", "params": {"tag": "a"}}]}, None
    )
    second = sentences(
        {"trigger_type": "manual", "actions": [{"type": "add_tag", "params": {"tag": "b"}}]}, None
    )
    assert [(one.change, one.sentence.details) for one in compared(first, second)] == [
        ("same", ()),
        ("removed", ("Tag: a",)),
        ("added", ("Tag: b",)),
    ]


@pytest.mark.parametrize(
    ("trigger", "text"),
    [
        ("manual", "somebody starts it, by hand or over the API"),
        ("inbound_webhook", "a signed request comes to its own address"),
        ("schedule", "it is time by its schedule"),
        ("import_finished", "an import ended"),
    ],
)
def test_every_trigger_goes_on_after_when(trigger, text):
    assert lines_of(trigger, {})[0][2] == text


def test_values_are_written_as_people_read_them():
    given = {"sent": True, "to": ["a", None], "failed": False, "figures": {"n": 3}}
    assert plain_words(given) == "sent: yes, to: a, –, failed: no, figures: n: 3"  # noqa: RUF001
