"""Two days of a seller's and of a sales-ops person's work, over HTTP against the running stack.

What a day ends with is what the next one begins with: the steps of a diary are one test.
"""

import csv
import io
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.live import running_stack

# Until consumers of changes, of duplicates and of mail have done what was asked for.
SOON_S = 120
TODAY = datetime.now(UTC).date()


class Person:
    """Someone who signed in; what they ask for must be answered with the status that they expect."""

    def __init__(self, address: str, username: str) -> None:
        self.http = httpx.Client(base_url=f"{address}/api", timeout=60)
        self.username = username
        self.sign_in()

    def sign_in(self) -> None:
        """A new day."""
        given = {"username": f"{self.username}@crm.example", "password": "password"}
        if self.username == "admin":
            given["username"] = "admin"
        answer = self.http.post("/auth/login/", json=given)
        assert answer.status_code == 200, answer.text
        self.http.headers["Authorization"] = f"Bearer {answer.json()['access']}"
        self.id = self.get("/auth/me/")["id"]

    def get(self, path: str, expected: int = 200, **parameters: Any) -> Any:
        """What a GET is answered with."""
        return self._asked("GET", path, expected, params=parameters)

    def post(self, path: str, body: Any = None, expected: int = 200, **more: Any) -> Any:
        """What a POST is answered with."""
        return self._asked("POST", path, expected, **({"json": body} if body is not None else {}), **more)

    def patch(self, path: str, body: Any, expected: int = 200) -> Any:
        """What a PATCH is answered with."""
        return self._asked("PATCH", path, expected, json=body)

    def delete(self, path: str, expected: int = 204) -> Any:
        """What a DELETE is answered with."""
        return self._asked("DELETE", path, expected)

    def soon(self, path: str, wanted: Callable[[Any], bool], **parameters: Any) -> Any:
        """The first result of a list that is wanted, as soon as there is one."""
        deadline = time.monotonic() + SOON_S
        while not (found := [one for one in self.get(path, **parameters)["results"] if wanted(one)]):
            assert time.monotonic() < deadline, f"nothing came at {path} {parameters}"
            time.sleep(0.5)
        return found[0]

    def _asked(self, method: str, path: str, expected: int, **request: Any) -> Any:
        answer = self.http.request(method, path, **request)
        assert answer.status_code == expected, f"{method} {path}: {answer.status_code} {answer.text[:2_000]}"
        return answer.json() if "json" in answer.headers.get("content-type", "") else answer.text


@pytest.fixture(scope="module")
def address():
    with running_stack(RATE_LIMIT_ENABLED="0") as url:
        yield url


@pytest.fixture(scope="module")
def person(address):
    return lambda username: Person(address, username)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.timeout(400)
def test_two_days_of_a_seller(person):
    seller, manager, colleague = person("rep"), person("manager"), person("rep2")

    # Day one. Somebody calls: are they known?
    assert seller.get("/v1/search/", q="+1 415 555 0142")["results"] == []
    caller = seller.post(
        "/v1/leads/",
        {
            "first_name": "Ada",
            "last_name": "Ferrante",
            "email": "ada@ferrante.example",
            "phone": "+1 415 555 0142",
            "company_name": "Ferrante Tiles",
            "lead_source": "referral",
        },
        201,
    )
    found = seller.get("/v1/search/", q="(415) 555-0142")["results"]
    assert [(one["type"], one["id"]) for one in found[:1]] == [("lead", caller["id"])]
    lead = f"/v1/leads/{caller['id']}"
    assert [one["code"] for one in seller.get(f"{lead}/access/")["asked"]["reasons"]] == ["owner"]
    seller.post(
        "/v1/activities/",
        {
            "entity": "lead",
            "object_id": caller["id"],
            "type": "call",
            "subject": "Asked for a quote",
            "duration": 240,
        },
        201,
    )
    seller.post(
        "/v1/comments/",
        {
            "entity": "lead",
            "object_id": caller["id"],
            "body": "@manager@crm.example what discount may I give?",
        },
        201,
    )
    asked = manager.soon("/v1/notifications/", lambda one: one["object_id"] == caller["id"], type="mention")
    assert asked["actor"]["username"] == "rep"
    manager.post(
        "/v1/comments/", {"entity": "lead", "object_id": caller["id"], "body": "@rep up to 10 %"}, 201
    )
    task = seller.post(
        "/v1/tasks/", {"title": "Send the quote", "lead": caller["id"], "due_date": str(TODAY)}, 201
    )
    kinds = {one["kind"] for one in seller.get(f"{lead}/timeline/")["results"]}
    assert {"activity", "comment", "task"} <= kinds

    # The colleague stands in for an afternoon: reads it while it is shared, and gives it away to nobody.
    share = seller.post(f"{lead}/shares/", {"user": "rep2", "access": "write"}, 201)
    assert [one["code"] for one in colleague.get(f"{lead}/access/")["asked"]["reasons"]] == ["shared"]
    colleague.soon("/v1/notifications/", lambda one: one["object_id"] == caller["id"], type="share")
    colleague.patch(f"{lead}/", {"notes": "Called back: wants samples"})
    colleague.patch(f"{lead}/", {"owner": colleague.id}, 403)
    seller.delete(f"{lead}/shares/{share['id']}/")

    # The colleague may not see it any more, and makes the same lead: told so without a name.
    assert colleague.get(f"{lead}/", 404)["type"] == "/problems/not-found"
    twin = colleague.post("/v1/leads/", {"last_name": "Ferrante", "email": "ADA@ferrante.example"}, 201)
    assert "Ada" not in str(twin["possible_duplicates"])

    # The quote goes out, the lead becomes a customer.
    assert seller.post(f"/v1/tasks/{task['id']}/complete/")["status"] == "completed"
    seller.patch(f"{lead}/", {"status": "qualified", "phone": "+1 415 555 0143"})
    [phone] = seller.get(f"{lead}/history/", field="phone")["results"]
    assert phone["changes"]["phone"] == {"old": "+14155550142", "new": "+14155550143"}
    became = seller.post(
        f"{lead}/convert/", {"opportunity_name": "Tiles for the lobby", "amount": "12000.00"}
    )
    deal = f"/v1/opportunities/{became['opportunity_id']}"
    contact, company = became["contact_id"], became["company_id"]

    # Somebody decides there: a second contact of the deal.
    boss = seller.post(
        "/v1/contacts/",
        {"first_name": "Bo", "last_name": "Ferrante", "email": "bo@ferrante.example", "company": company},
        201,
    )
    seller.post(f"{deal}/contacts/", {"contact": boss["id"], "role": "decision_maker"}, 201)
    of_deal = seller.get(f"{deal}/contacts/")["results"]
    assert [(one["contact"], one["is_primary"]) for one in of_deal] == [(contact, True), (boss["id"], False)]
    assert [one["id"] for one in seller.get("/v1/opportunities/", any_contact=boss["id"])["results"]] == [
        became["opportunity_id"]
    ]

    # Day two. The day's list, the deal moves, a second look at the customer.
    seller.sign_in()
    seller.soon("/v1/notifications/", lambda one: one["object_id"] == caller["id"], type="mention")
    stages = [
        one["key"]
        for one in seller.get("/v1/stages/", pipeline=seller.get(f"{deal}/")["pipeline"])["results"]
    ]
    assert "closed_won" in stages
    seller.patch(f"{deal}/", {"stage": "negotiation", "expected_close_date": str(TODAY + timedelta(7))})
    moved = seller.get(f"{deal}/stages/")
    assert moved["results"][-1]["stage"] == "negotiation", moved
    # Bo was there before, under another address: merged, looked at, and taken apart again.
    older = seller.post(
        "/v1/contacts/",
        {"first_name": "Bo", "last_name": "Ferrante", "email": "bo.f@mail.example", "phone": "+14155550199"},
        201,
    )
    merge = seller.post("/v1/contacts/merge/", {"survivor": boss["id"], "merged": [older["id"]]})
    one = seller.get(f"/v1/contacts/{boss['id']}/")
    assert (one["phone"], one["additional_emails"]) == ("+14155550199", ["bo.f@mail.example"])
    assert seller.get(f"/v1/contacts/{older['id']}/", 301)["merged_into"] == boss["id"]
    seller.patch(f"/v1/contacts/{boss['id']}/", {"job_title": "Owner"})
    seller.post(f"/v1/merges/{merge['id']}/undo/")
    one = seller.get(f"/v1/contacts/{boss['id']}/")
    assert (one["phone"], one["job_title"], one["additional_emails"]) == ("", "Owner", [])
    assert seller.get(f"/v1/contacts/{older['id']}/")["phone"] == "+14155550199"
    # Won; the timeline of the company has it all.
    won = seller.patch(f"{deal}/", {"stage": "closed_won"})
    assert (won["status"], won["probability"]) == ("won", 100)
    assert Decimal(seller.get("/v1/opportunities/statistics/", company=company, status="won")["total"]) == 1
    sheet = rows(seller.get("/v1/export/opportunities/", company=company, format="csv"))
    assert [row["name"] for row in sheet] == ["Tiles for the lobby"]
    hanging = seller.get(f"/v1/companies/{company}/dependents/")
    assert "opportunity" in str(hanging)


@pytest.mark.timeout(400)
def test_two_days_of_sales_operations(person):
    ops, manager, seller = person("admin"), person("manager"), person("rep3")

    # Day one. A second pipeline with its stages, and why its deals are lost.
    renewals = ops.post(
        "/v1/pipelines/",
        {
            "name": "Renewals",
            "stages": [
                {"name": "Offer sent", "probability": 40},
                {"name": "Signed", "is_won": True},
                {"name": "Gone", "is_lost": True},
            ],
        },
        201,
    )
    assert [one["key"] for one in renewals["stages"]] == ["offer_sent", "signed", "gone"]
    for name in ("Price", "No longer needed"):
        ops.post("/v1/lost_reasons/", {"name": name, "pipeline": renewals["id"]}, 201)
    ops.post(
        "/v1/custom_fields/", {"entity": "lead", "key": "fair_2026", "label": "Fair", "type": "text"}, 201
    )

    # The list of a fair comes in: looked at first, then for good, and the faults go back to who sent it.
    sheet = "\n".join(
        [
            "Vorname,Nachname,E-Mail,Telefon,Firma,Fair",
            "Jörg,Weiß,joerg@weiss.example,+49 30 901820,Weiß GmbH,Hall 4",
            "Zoë,Brown,zoe@brown.example,+44 20 7946 0018,Brown Ltd,Hall 5",
            "Kim,Lee,not an address,+82 2-312-3456,Lee Co,Hall 5",
        ]
    )
    file = {"files": {"file": ("fair.csv", sheet.encode(), "text/csv")}}
    looked = ops.post("/v1/import/leads/", **file, data={"dry_run": "true"})
    assert (looked["created"], looked["failed"]) == (2, 1)
    assert ops.get("/v1/leads/", email="zoe@brown.example")["results"] == []
    done = ops.post("/v1/import/leads/", **file)
    assert (done["created"], done["failed"]) == (2, 1)
    [job] = ops.get("/v1/imports/", page_size=1)["results"]
    [fault] = rows(ops.get(f"/v1/imports/{job['id']}/errors.csv/"))
    assert fault["E-Mail"] == "not an address"
    [zoe] = ops.get("/v1/leads/", email="zoe@brown.example")["results"]
    assert zoe["custom_fields"] == {"fair_2026": "Hall 5"}

    # Zoë is a contact of the East team already, twice: found in the background, one is made of them.
    twins = [
        seller.post(
            "/v1/contacts/",
            {"first_name": "Zoë", "last_name": "Brown", "email": mail, "phone": "+442079460018"},
            201,
        )["id"]
        for mail in ("zoe@brown.example", "z.brown@brown.example")
    ]
    ops.post(
        "/v1/duplicate_rules/",
        {
            "name": "Known already",
            "entity": "lead",
            "compare": "email",
            "across": "contact",
            "on_create": "refuse",
        },
        201,
    )
    refused = manager.post("/v1/leads/", {"last_name": "Brown", "email": "ZOE@brown.example"}, 409)
    assert refused["errors"][0]["code"] == "possible_duplicate"
    assert "someone else has this" in str(refused)
    group = ops.soon(
        "/v1/contacts/duplicates/", lambda one: {each["id"] for each in one["records"]} == set(twins)
    )
    assert group["exact"]
    before = ops.post("/v1/contacts/duplicates/merge/", {"groups": [twins], "dry_run": True})
    assert before["results"][0]["changes"]
    assert ops.get(f"/v1/contacts/{twins[1]}/")["id"] == twins[1]
    ops.post("/v1/contacts/duplicates/merge/", {"groups": [twins]})
    assert ops.get(f"/v1/contacts/{twins[1]}/", 301)["merged_into"] == twins[0]

    # Day two. A rate is published, a deal is won at it, the rate is mended: what is open moves, what is
    # closed stays.
    ops.sign_in()
    ops.post("/v1/exchange_rates/", {"currency": "CHF", "date": str(TODAY), "rate": "1.10"}, 201)
    deals = [
        ops.post(
            "/v1/opportunities/",
            {
                "name": name,
                "amount": "100.00",
                "currency": "CHF",
                "pipeline": renewals["id"],
                "stage": "offer_sent",
            },
            201,
        )["id"]
        for name in ("Kept", "Open")
    ]
    ops.patch(f"/v1/opportunities/{deals[0]}/", {"stage": "signed"})
    [rate] = ops.get("/v1/exchange_rates/", currency="CHF")["results"]
    ops.patch(f"/v1/exchange_rates/{rate['id']}/", {"rate": "1.20"})
    of_renewals = ops.get("/v1/opportunities/statistics/", pipeline=renewals["id"], in_currency="USD")
    in_dollars = of_renewals["converted"]
    assert (in_dollars["won_value"], in_dollars["total_value"]) == ("110.00", "120.00")
    assert {(one["rate"], one["closed"]) for one in in_dollars["rates"]} == {("1.1", True), ("1.2", False)}

    # A deal is lost for a reason, by the name that the list has for it.
    ops.patch(f"/v1/opportunities/{deals[1]}/", {"stage": "gone"}, 400)
    lost = ops.patch(f"/v1/opportunities/{deals[1]}/", {"stage": "gone", "lost_reason": "price"})
    assert lost["lost_reason"] == "Price"

    # Viewers need not know what deals are about to be done: hidden from them, by every door.
    right = {"role": "viewer", "entity": "opportunity", "field": "next_step", "access": "hidden"}
    ops.post("/v1/field_rights/", right, 201)
    viewer = person("viewer")
    assert "next_step" not in viewer.get("/v1/opportunities/", page_size=1)["results"][0]
    viewer.get("/v1/opportunities/", 400, next_step__contains="call")

    # What would be left of a company that is archived, and who is on the way out hands over.
    company = ops.post("/v1/companies/", {"name": "Brown Ltd", "domain": "brown.example"}, 201)
    suggested = ops.soon(
        f"/v1/contacts/{twins[0]}/company_suggestions/", lambda one: one["id"] == company["id"]
    )
    ops.post(f"/v1/contacts/{twins[0]}/company_suggestions/accept/", {"company": suggested["id"]})
    [hanging] = ops.get(f"/v1/companies/{company['id']}/dependents/")["results"]
    assert hanging == {"type": "contact", "field": "company", "count": 1, "hidden": 0}
    successor = person("rep4")
    ops.post(f"/v1/users/{seller.id}/hand_over/", {"to": successor.id})
    ops.patch(f"/v1/users/{seller.id}/", {"is_active": False})
    seller.get("/auth/me/", 401)
    assert ops.get("/v1/contacts/", owner=seller.id)["results"] == []
    assert successor.get(f"/v1/contacts/{twins[0]}/")["owner"] == successor.id
    # The fair's list was the wrong one.
    undone = ops.post(f"/v1/imports/{job['id']}/undo/")
    assert (undone["removed"], undone["kept"]) == (2, 0)
    assert ops.get("/v1/leads/", email="zoe@brown.example")["results"] == []
