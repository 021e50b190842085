"""Lists of what is no entity: filtered, ordered and paged as asked, or the query is refused by name."""

from itertools import pairwise

import orjson
import pytest
from django.urls import get_resolver, reverse
from django.utils import timezone

from core.accounts.models import Team
from core.accounts.tests.factories import TeamFactory
from core.api.resources import RowsMixin
from core.customization.tests.factories import CustomFieldFactory, SavedViewFactory
from core.lead_scoring.models import ScoringJob

pytestmark = pytest.mark.django_db


def refused(response):
    assert response.status_code == 400, response.content[:300]
    assert response["Content-Type"] == "application/problem+json"
    return [(e["field"], e["code"]) for e in orjson.loads(response.content)["errors"]]


def names(response, of="name"):
    assert response.status_code == 200, response.content[:300]
    return [row[of] for row in response.json()["results"]]


def walk(patterns, found):
    for pattern in patterns:
        if hasattr(pattern, "url_patterns"):
            walk(pattern.url_patterns, found)
            continue
        view = getattr(pattern.callback, "cls", None)
        if view and issubclass(view, RowsMixin) and pattern.callback.actions.get("get") == "list":
            found.setdefault(view, pattern.name)  # the second is spelled with hyphens
    return found


def lists():
    """Every list that is no entity's: its view and its address."""
    return sorted(
        ((view, reverse(name)) for view, name in walk(get_resolver().url_patterns, {}).items()),
        key=lambda pair: pair[1],
    )


def test_there_are_lists_to_speak_of():
    assert len(lists()) >= 17
    assert "/api/v1/saved_views" in [url for _, url in lists()]


def test_every_list_takes_its_orderings_in_both_directions(admin):
    for view, url in lists():
        for name in view.ordering_fields:
            for query in (name, f"-{name}"):
                assert admin.get(f"{url}?ordering={query}").status_code == 200, (url, query)
        if view.ordering_fields:
            assert admin.get(f"{url}?ordering={','.join(view.ordering_fields)}").status_code == 200, url


WRONG = ["nope", "", "-", "?", "owner__password", "password", "id;", "%00", "--id"]


@pytest.mark.parametrize("ordering", WRONG)
def test_every_list_refuses_another_ordering_by_name(admin, ordering):
    for _, url in lists():
        assert refused(admin.get(f"{url}?ordering={ordering}")) == [("ordering", "unknown")], url


def test_every_list_refuses_an_unknown_filter_by_name(admin):
    for _, url in lists():
        assert refused(admin.get(f"{url}?nope=1")) == [("nope", "unknown")], url
        assert refused(admin.get(f"{url}?id__gt=1")) == [("id__gt", "unknown")], url


def test_a_filter_of_every_list_refuses_nul_or_finds_nothing(admin):
    for view, url in lists():
        for name in view.filterset_fields:
            response = admin.get(f"{url}?{name}=%00")
            assert response.status_code == 400, (url, name)
            assert [field for field, _ in refused(response)] == [name]


def test_what_is_no_list_takes_no_parameters(admin, admin_user):
    team, unknown = TeamFactory(name="North"), [("nope", "unknown")]
    for url in (f"/api/v1/teams/{team.pk}/", "/api/auth/me/", "/api/v1/scoring/", "/api/auth/sessions/"):
        assert refused(admin.get(f"{url}?nope=1")) == unknown, url
    assert refused(admin.patch(f"/api/v1/teams/{team.pk}/?nope=1", {"name": "South"})) == unknown
    assert refused(admin.post("/api/v1/teams/?nope=1", {"name": "South"})) == unknown
    assert refused(admin.delete(f"/api/v1/teams/{team.pk}/?nope=1")) == unknown
    assert list(Team.objects.values_list("name", flat=True)) == ["North"]


def test_an_ordering_orders_and_ends_with_the_id(admin):
    for name in ("Beta", "Alpha", "Gamma"):
        TeamFactory(name=name)
    url = "/api/v1/teams/"
    assert names(admin.get(f"{url}?ordering=name")) == ["Alpha", "Beta", "Gamma"]
    assert names(admin.get(f"{url}?ordering=-name")) == ["Gamma", "Beta", "Alpha"]
    assert names(admin.get(f"{url}?ordering=-id")) == ["Gamma", "Alpha", "Beta"]
    Team.objects.update(created_at=timezone.now())
    assert names(admin.get(f"{url}?ordering=created_at")) == ["Beta", "Alpha", "Gamma"]
    assert names(admin.get(f"{url}?ordering=-created_at")) == ["Gamma", "Alpha", "Beta"]
    assert names(admin.get(f"{url}?ordering=-created_at,name")) == ["Alpha", "Beta", "Gamma"]


def test_pages_of_an_ordering_meet_each_row_once(admin):
    for number in range(7):
        CustomFieldFactory(entity="lead", key=f"k{number}", label="Same", type="text")
    seen, url = [], "/api/v1/custom_fields/?ordering=-label&page_size=2"
    while url:
        body = admin.get(url).json()
        seen += [row["id"] for row in body["results"]]
        url = body["next"]
    assert len(seen) == 7
    assert all(a > b for a, b in pairwise(seen))


def test_a_filter_given_twice_means_any_of_its_values(admin, admin_user):
    for entity in ("lead", "contact", "task"):
        SavedViewFactory(owner=admin_user, entity=entity, name=f"of {entity}s")
    found = admin.get("/api/v1/saved_views/?entity=lead&entity=task&ordering=name")
    assert names(found, "entity") == ["lead", "task"]


def test_empty_values_come_last_in_either_direction(admin):
    open_job = ScoringJob.objects.create(kind="bulk")
    ended = ScoringJob.objects.create(kind="bulk", finished_at=timezone.now())
    url = "/api/v1/scoring/jobs/?ordering="
    for direction in ("", "-"):
        ids = [str(ended.task_id), str(open_job.task_id)]
        assert names(admin.get(f"{url}{direction}finished_at"), "task_id") == ids


def test_the_document_names_the_orderings_of_each_list(settings):
    text = " ".join((settings.BASE_DIR / "docs" / "openapi.yaml").read_text().split())
    for view, url in lists():
        assert not view.ordering_fields or f"Known: {', '.join(view.ordering_fields)}." in text, url
