"""Reading by the protocol's own client: tools, their schemas, resources, visibility and scopes."""

import json

import pytest

from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db(transaction=True)
READING = {
    "search", "get_record", "list_records", "timeline", "statistics", "report", "list_users", "list_workflows"
}  # fmt: skip


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_a_reading_key_is_offered_what_reads(session, make_key, rep, mode):
    async def work(client):
        return await client.list_tools()

    found = session(make_key(rep), work, mode)
    assert {tool.name for tool in found.tools} == READING
    assert all(tool.annotations.read_only_hint for tool in found.tools)
    size = len(found.model_dump_json(by_alias=True, exclude_none=True))
    assert size < 200_000, size


def test_tools_read_what_the_user_sees(calls, make_key, rep, admin_user):
    mine = LeadFactory(first_name="Ada", last_name="Byron", owner=rep, email="ada@x.example")
    hidden = LeadFactory(first_name="Grace", last_name="Hopper", owner=admin_user)
    results = calls(
        make_key(rep),
        ("list_records", {"entity": "lead", "fields": "id,last_name"}),
        ("get_record", {"entity": "lead", "id": mine.pk}),
        ("get_record", {"entity": "lead", "id": hidden.pk}),
        ("search", {"q": "ada@x.example"}),
        ("timeline", {"entity": "lead", "id": mine.pk}),
        ("statistics", {"entity": "lead", "group_by": "status"}),
        ("report", {"report": "trend", "entity": "lead"}),
        ("list_users", {"search": rep.username}),
    )
    listed, got, not_got, hits, timeline, statistics, report, users = results
    assert listed.structured_content["results"] == [{"id": mine.pk, "last_name": "Byron"}]
    assert got.structured_content["result"]["email"] == "ada@x.example"
    assert got.structured_content["untrusted"] is True
    assert json.loads(got.content[0].text) == got.structured_content
    assert not_got.is_error
    assert not_got.content[0].text == "not_found: Not found."
    assert [hit["id"] for hit in hits.structured_content["results"]] == [mine.pk]
    assert [entry["kind"] for entry in timeline.structured_content["results"]] == ["change"]
    assert statistics.structured_content["result"]["total"] == 1
    assert len(report.structured_content["result"]["rows"]) >= 1
    assert [user["id"] for user in users.structured_content["results"]] == [rep.pk]


def test_lists_are_read_on_by_what_next_says(calls, make_key, rep):
    made = [LeadFactory(owner=rep).pk for _ in range(3)]
    key = make_key(rep)
    asked = {"entity": "lead", "fields": "id", "page_size": 2, "ordering": "id"}
    [first] = calls(key, ("list_records", asked))
    following = first.structured_content["next"]
    assert set(following) == {"cursor"}
    [second] = calls(key, ("list_records", asked | following))
    found = [row["id"] for page in (first, second) for row in page.structured_content["results"]]
    assert (found, second.structured_content["next"]) == (made, None)


def test_conditions_are_objects(calls, make_key, rep):
    LeadFactory(owner=rep, city="Oslo")
    LeadFactory(owner=rep, city="Rome")
    condition = {"field": "city", "op": "eq", "value": "Oslo"}
    asked = {"entity": "lead", "fields": "city", "conditions": condition}
    [found] = calls(make_key(rep), ("list_records", asked))
    assert found.structured_content["results"] == [{"city": "Oslo"}]


def test_a_key_for_leads_is_offered_leads_alone(session, make_key, rep):
    async def work(client):
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        refused = await client.call_tool("list_records", {"entity": "task"})
        return tools, refused

    tools, refused = session(make_key(rep, "leads:read"), work)
    assert set(tools) == {"search", "get_record", "list_records", "timeline", "statistics"}
    assert tools["get_record"].input_schema["properties"]["entity"]["enum"] == ["lead"]
    assert refused.is_error
    assert refused.content[0].text.startswith("scope_missing: ")


def test_wrong_arguments_are_named(calls, make_key, rep):
    key = make_key(rep)
    wrong = [
        ({"entity": "lead", "id": "seven"}, "id: 'seven' is not of type 'integer'"),
        ({"entity": "lead"}, "'id' is a required property"),
        ({"entity": "nothing", "id": 1}, "entity: 'nothing' is not one of"),
        ({"entity": "lead", "id": 1, "hard": True}, "'hard' was unexpected"),
    ]
    for (_, expected), result in zip(
        wrong, calls(key, *[("get_record", given) for given, _ in wrong]), strict=True
    ):
        assert result.is_error
        assert expected in result.content[0].text


def test_an_unknown_tool_is_an_error_of_the_protocol(session, make_key, rep):
    from mcp.shared.exceptions import MCPError

    async def work(client):
        with pytest.raises(MCPError, match="Unknown tool: delete_lead"):
            await client.call_tool("delete_lead", {"id": 1})

    session(make_key(rep), work)


def test_resources_are_records_and_schemas(session, make_key, rep):
    lead = LeadFactory(owner=rep, last_name="Byron")

    async def work(client):
        listed = {str(one.uri) for one in (await client.list_resources()).resources}
        templates = {one.uri_template for one in (await client.list_resource_templates()).resource_templates}
        texts = [
            json.loads((await client.read_resource(uri)).contents[0].text)
            for uri in (f"crm://leads/{lead.pk}", "crm://schema/leads", "crm://guide/conditions")
        ]
        return listed, templates, texts

    listed, templates, (record, schema, guide) = session(make_key(rep, "leads:read"), work)
    assert listed == {"crm://guide/conditions", "crm://schema/leads"}
    assert templates == {"crm://leads/{id}"}
    assert (record["result"]["last_name"], record["untrusted"]) == ("Byron", True)
    assert "eq" in schema["fields"]["status"]["operators"]
    assert schema["create"]["properties"]["values"]["properties"]["status"]["enum"][0] == "new"
    assert guide["one"]["field"] == "status"
