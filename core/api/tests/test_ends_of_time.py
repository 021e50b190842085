"""Dates at the very ends of the calendar: stored or refused, shown, filtered and exported, never a 500."""

import pytest

from core.entities import entities, field_types
from tests.records import ENTITIES, TITLE

pytestmark = pytest.mark.django_db
FIRST, LAST = "0001-01-01", "9999-12-31"
MOMENTS = {FIRST: "0001-01-01T00:00:00Z", LAST: "9999-12-31T23:59:59Z"}


def dated(entity):
    """The entity's columns that hold a date or a moment."""
    kinds = field_types.Date | field_types.DateTime
    return [c for c in entity.columns if isinstance(c.field_type, kinds)]


def at(column, day):
    return day if isinstance(column.field_type, field_types.Date) else MOMENTS[day]


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
@pytest.mark.parametrize("day", [FIRST, LAST])
@pytest.mark.parametrize("name", ENTITIES)
def test_every_page_of_a_record_with_such_dates(api, make_user, name, day, zone):
    entity, client = entities[name], api(make_user("admin", time_zone=zone))
    url = f"/api/v1/{entity.plural}/"
    given = {c.name: at(c, day) for c in dated(entity) if c.writable}
    made = client.post(url, {TITLE[name]: "Ada"} | given)
    assert made.status_code == 201, made.json()
    pages = ("", "history/", "timeline/")
    statuses = {page: client.get(f"{url}{made.json()['id']}/{page}").status_code for page in pages}
    assert statuses == dict.fromkeys(pages, 200)
    assert client.get(f"{url}statistics/").status_code == 200
    for group in (f"{c.name}__month" for c in dated(entity) if c.filterable):
        answer = client.get(f"{url}statistics/", {"group_by": group})
        assert answer.status_code == 200, (group, answer.json())
    assert client.get(f"/api/v1/export/{entity.plural}/").status_code == 200


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
@pytest.mark.parametrize("name", ENTITIES)
def test_every_filter_by_such_dates(api, make_user, name, zone):
    entity, client = entities[name], api(make_user("admin", time_zone=zone))
    failed = []
    for column in dated(entity):
        for day in (FIRST, LAST):
            for value in {day, at(column, day)}:
                asked = dict.fromkeys(("eq", "lt", "lte", "gt", "gte", "before", "after"), value)
                asked["between"] = f"{value},{value}"
                for op, operand in asked.items():
                    response = client.get(f"/api/v1/{entity.plural}/", {f"{column.name}__{op}": operand})
                    if response.status_code not in (200, 400):
                        failed.append((column.name, op, operand))
    assert not failed
