"""Exchange rates over HTTP: who writes them, what is refused, and what closed amounts count by."""

from datetime import date, timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from core.changes.models import Change
from core.currencies.models import ExchangeRate
from core.currencies.tests.factories import ExchangeRateFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/exchange_rates/"
TODAY = timezone.now().date()
PAST = TODAY - timedelta(days=30)


def issues(response):
    return {issue["field"]: issue["code"] for issue in response.json()["errors"]}


def kept():
    rows = ExchangeRate.objects.order_by("currency", "date")
    return [
        (r.currency, r.date, str(r.rate.normalize()), r.closing_rate and str(r.closing_rate.normalize()))
        for r in rows
    ]


def test_an_administrator_enters_a_rate_which_everyone_reads(admin, api, rep):
    made = admin.post(URL, {"currency": "eur", "date": str(TODAY), "rate": "1.0837"})
    assert made.status_code == 201, made.json()
    found = made.json()
    assert (found["currency"], found["base"], found["rate"], found["source"]) == (
        "EUR",
        "USD",
        "1.0837",
        "manual",
    )
    assert api(rep).get(URL).json()["results"] == [found]
    change = Change.objects.get(entity="exchange_rate")
    assert (change.object_id, change.kind, change.source) == (found["id"], "created", "api")


@pytest.mark.parametrize("role", ["manager", "rep", "viewer"])
def test_nobody_else_writes_rates(api, make_user, role):
    rate, client = ExchangeRateFactory(), api(make_user(role))
    body = {"currency": "GBP", "date": str(TODAY), "rate": "1.2"}
    assert client.post(URL, body).status_code == 403
    assert client.patch(f"{URL}{rate.pk}/", {"rate": "2"}).status_code == 403
    assert client.delete(f"{URL}{rate.pk}/").status_code == 403
    assert upload(client, "currency,date,rate\nGBP,2026-01-01,1.2\n").status_code == 403
    assert kept() == [("EUR", date(2026, 1, 1), "1.1", "1.1")]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"currency": "XYZ"}, "currency"),
        ({"currency": "USD"}, "currency"),
        ({"currency": ""}, "currency"),
        ({"date": "yesterday"}, "date"),
        ({"rate": "0"}, "rate"),
        ({"rate": "-1"}, "rate"),
        ({"rate": "NaN"}, "rate"),
        ({"rate": "1e30"}, "rate"),
        ({"rate": None}, "rate"),
        ({"base": "EUR"}, "base"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_what_is_no_rate_is_refused(admin, body, field):
    answer = admin.post(URL, {"currency": "EUR", "date": str(TODAY), "rate": "1.1", **body})
    assert answer.status_code == 400, answer.json()
    assert list(issues(answer)) == [field]
    assert kept() == []


def test_there_is_one_rate_of_a_currency_and_day(admin):
    ExchangeRateFactory(date=TODAY)
    assert admin.post(URL, {"currency": "EUR", "date": str(TODAY), "rate": "2"}).status_code == 409
    assert kept() == [("EUR", TODAY, "1.1", "1.1")]


def test_a_rate_stays_that_of_its_currency_and_day(admin):
    rate = ExchangeRateFactory()
    answer = admin.patch(f"{URL}{rate.pk}/", {"date": str(TODAY), "currency": "GBP"})
    assert (answer.status_code, set(issues(answer))) == (400, {"date", "currency"})
    assert kept() == [("EUR", date(2026, 1, 1), "1.1", "1.1")]


def test_changing_a_rate_leaves_what_closed_amounts_count_by(admin):
    for day in (PAST, TODAY):
        rate = ExchangeRateFactory(date=day)
        changed = admin.patch(f"{URL}{rate.pk}/", {"rate": "1.25"}).json()
        assert (changed["rate"], changed["closing_rate"]) == ("1.25", "1.1")


def test_a_change_restates_what_is_closed_where_its_writer_says_so(admin):
    rate = ExchangeRateFactory(date=PAST)
    changed = admin.patch(f"{URL}{rate.pk}/", {"rate": "1.25", "restates_closed": True}).json()
    assert (changed["rate"], changed["closing_rate"]) == ("1.25", "1.25")


def test_a_rate_of_a_day_to_come_counts_for_all(admin):
    rate = ExchangeRateFactory(date=TODAY + timedelta(days=9))
    assert admin.patch(f"{URL}{rate.pk}/", {"rate": "1.25"}).json()["closing_rate"] == "1.25"


def test_a_rate_that_comes_late_counts_for_closed_amounts_where_none_did(admin):
    first = admin.post(URL, {"currency": "EUR", "date": str(PAST), "rate": "1.1"}).json()
    later = admin.post(URL, {"currency": "EUR", "date": str(PAST + timedelta(days=9)), "rate": "1.2"}).json()
    assert (first["closing_rate"], later["closing_rate"]) == ("1.1", None)


def test_a_rate_that_closed_amounts_may_count_by_is_deleted_with_a_word_only(admin):
    rate = ExchangeRateFactory()
    refused = admin.delete(f"{URL}{rate.pk}/")
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/restates-closed")
    assert len(kept()) == 1
    assert admin.delete(f"{URL}{rate.pk}/?restates_closed=true").status_code == 204
    assert kept() == []


def test_the_list_is_filtered_by_currency_and_days(admin):
    for currency, day in (("EUR", 1), ("EUR", 2), ("GBP", 3)):
        ExchangeRateFactory(currency=currency, date=date(2026, 1, day))

    def days(**params):
        return [row["date"] for row in admin.get(URL, params).json()["results"]]

    assert days(currency="EUR") == ["2026-01-02", "2026-01-01"]
    assert days(date_from="2026-01-02", ordering="date") == ["2026-01-02", "2026-01-03"]
    assert days(date_to="2026-01-01") == ["2026-01-01"]
    assert admin.get(URL, {"currency": "nonsense"}).status_code == 400


# -- CSV ----------------------------------------------------------------------------------------


def upload(client, text, **more):
    file = SimpleUploadedFile("rates.csv", text if isinstance(text, bytes) else text.encode(), "text/csv")
    return client.post(f"{URL}import_csv/", {"file": file, **more}, format="multipart")


def test_a_file_of_rates_is_stored_whole(admin):
    ExchangeRateFactory(date=date(2026, 1, 2), rate="9")
    answer = upload(
        admin, "\ufeffDate;Currency;Rate\n2026-01-01;gbp;1.25\n2026-01-08;GBP;1.27\n2026-01-02;EUR;1.1\n"
    )
    assert (answer.status_code, answer.json()) == (200, {"written": 3, "open_only": 1})
    assert kept() == [
        ("EUR", date(2026, 1, 2), "1.1", "9"),
        ("GBP", date(2026, 1, 1), "1.25", "1.25"),
        ("GBP", date(2026, 1, 8), "1.27", "1.27"),
    ]
    # The same file again changes nothing.
    assert upload(admin, "currency,date,rate\nGBP,2026-01-01,1.25\n").json()["written"] == 0


def test_later_rates_of_past_days_count_for_closed_amounts_where_the_file_says_so(admin):
    ExchangeRateFactory(date=date(2026, 1, 1))
    text = "currency,date,rate\nEUR,2026-01-15,1.2\n"
    assert upload(admin, text).json() == {"written": 1, "open_only": 1}
    assert upload(admin, text, restates_closed="true").json() == {"written": 1, "open_only": 0}
    assert kept()[1] == ("EUR", date(2026, 1, 15), "1.2", "1.2")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("currency,date\nEUR,2026-01-01\n", {"file": "columns"}),
        ("currency,date,rate\n", {"file": "empty"}),
        ("", {"file": "empty"}),
        (b"currency,date,rate\n\xff,2026-01-01,1\n", {"file": "invalid"}),
        (
            "currency,date,rate\nEUR,2026-01-01,1.1\nEUR,2026-13-01,x\n",
            {"lines.3.date": "invalid", "lines.3.rate": "invalid"},
        ),
        ("currency,date,rate\nEUR,2026-01-01,1.1\nEUR,2026-01-01,1.2\n", {"lines.3.currency": "unique"}),
        ("currency,date,rate\nUSD,2026-01-01,1\n", {"lines.2.currency": "base_currency"}),
        (
            "currency,date,rate\nEUR,2026-01-01,1.1\nEUR\n",
            {"lines.3.date": "required", "lines.3.rate": "required"},
        ),
    ],
)
def test_a_file_with_one_wrong_cell_stores_nothing(admin, text, named):
    answer = upload(admin, text)
    assert (answer.status_code, issues(answer)) == (400, named)
    assert kept() == []


def test_a_file_is_needed(admin):
    assert issues(admin.post(f"{URL}import_csv/", {}, format="multipart")) == {"file": "required"}


# -- admin --------------------------------------------------------------------------------------


def test_the_admin_site_keeps_what_closed_amounts_count_by(admin_page):
    rate = ExchangeRateFactory(date=PAST)
    address = f"/admin/core/exchangerate/{rate.pk}/change/"
    assert admin_page.get(address).status_code == 200
    assert admin_page.post(address, {"rate": "1.3"}).status_code == 302
    assert kept() == [("EUR", PAST, "1.3", "1.1")]
    added = admin_page.post(
        "/admin/core/exchangerate/add/", {"currency": "GBP", "date": str(TODAY), "rate": "1.2"}
    )
    assert added.status_code == 302
    assert kept()[1] == ("GBP", TODAY, "1.2", "1.2")


@pytest.fixture
def admin_page(client, admin_user):
    admin_user.is_staff = True
    admin_user.save()
    client.force_login(admin_user)
    return client
